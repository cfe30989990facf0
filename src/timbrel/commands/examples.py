"""Examples in the help of each command; tests run them."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "render": (
        "timbrel render prelude.mid",
        "timbrel render album/ -o sounds/",
        "timbrel render prelude.mid -o organ.flac --timbre '70% church organ + 30% trumpet'",
        "timbrel render duet.mid -o mix.wav --stems stems/ --timbre '2=harp'",
    ),
    "transcribe": (
        "timbrel transcribe flute.wav",
        "timbrel transcribe takes/ -o scores/ --csv",
        "timbrel transcribe bass.wav -o bass.mid --tempo 96 --json",
        "timbrel transcribe duet.wav --tracks 2",
    ),
    "translate": (
        "timbrel translate flute.wav --timbre 'church organ'",
        "timbrel translate takes/ --timbre mine.timbre -o organs/",
        "timbrel translate flute.wav --keep-timbre --save-timbre -o again/",
        "timbrel translate bass.wav --timbre '60% harp + 40% trumpet' -o harp.flac --loudness -16",
        "timbrel translate flute.wav --network my-network/ --domain harp -o harp.wav",
    ),
    "recognise": (
        "timbrel recognise flute.wav",
        "timbrel recognise takes/ --json",
        "timbrel recognise flute.wav --among violin --among flute",
    ),
    "inspect": (
        "timbrel inspect duet.mid",
        "timbrel inspect album/ --json",
        "timbrel inspect prelude.mid --plot roll.png",
    ),
    "timbres": (
        "timbrel timbres",
        "timbrel timbres --plot map.png",
        "timbrel timbres '50% harp + 50% vibraphone' -o mine.timbre",
        "timbrel timbres --from flute.wav -o flute.timbre",
        "timbrel timbres trumpet --sfz trumpet/",
    ),
    "fit": (
        "timbrel fit flute.wav",
        "timbrel fit flute.wav --score flute.mid -o mine.timbre --plot fit.png",
    ),
    "tunes": ("timbrel tunes", "timbrel tunes -o songs/"),
    "serve": ("timbrel serve --open", "timbrel serve --port 0 --report report/"),
    "page": ("timbrel page -o site/", "timbrel page -o site/ --report report/ --force"),
    "prepare": (
        "timbrel prepare album/ --soundfont FONT.sf3 -o data/",
        "timbrel prepare --soundfont FONT.sf3 --instruments gm --etudes 10 -o etudes/",
        "timbrel prepare --recordings takes/ --splits splits.csv -o recorded/",
        "timbrel prepare --describe data/",
    ),
    "train": (
        "timbrel train recipes/mel2mel.yaml --data data/ -o runs/first",
        "timbrel train recipes/mel2mel.yaml --data data/ -o runs/first --resume --minutes 60",
        "timbrel train recipes/mel2mel.yaml --data data/ -o runs/abs --set options.loss=abs",
    ),
    "runs": ("timbrel runs runs/first runs/abs", "timbrel runs runs/first --plot runs.png"),
    "export": (
        "timbrel export runs/first -o model/",
        "timbrel export runs/first -o model/ --best --name mine",
    ),
    "evaluate synthesis": (
        "timbrel evaluate synthesis --midi album/ --soundfont FONT.sf3 -o report/",
        "timbrel evaluate synthesis --midi album/ --soundfont FONT.sf3 -o report/ --model model/",
    ),
    "evaluate programs": (
        "timbrel evaluate programs --midi album/ --soundfont FONT.sf3 -o programs/",
        "timbrel evaluate programs --midi album/ --soundfont FONT.sf3 -o quick/ --every 8",
    ),
    "evaluate transcription": (
        "timbrel evaluate transcription --midi album/ --soundfont FONT.sf3 -o report/",
        "timbrel evaluate transcription --recordings takes/ -o report/ --judge basic-pitch",
    ),
    "evaluate parts": (
        "timbrel evaluate parts --midi album/ --soundfont FONT.sf3 -o report/",
        "timbrel evaluate parts --midi album/ --soundfont FONT.sf3 -o two/ --instrument harp "
        "--instrument trumpet",
    ),
    "evaluate translation": (
        "timbrel evaluate translation --midi album/ --soundfont FONT.sf3 -o report/",
        "timbrel evaluate translation --midi album/ --soundfont FONT.sf3 -o few/ --number 3 --fit",
    ),
    "evaluate fit": (
        "timbrel evaluate fit --soundfont FONT.sf2 -o fits/",
        "timbrel evaluate fit --soundfont FONT.sf2 -o fits/ --program 40 --program 73",
    ),
    "evaluate timbre": (
        "timbrel evaluate timbre --data data/ -o report/",
        "timbrel evaluate timbre --data data/ --soundfont OTHER.sf2 -o other/",
    ),
    "listen": (
        "timbrel listen --report report/ --host 0.0.0.0",
        "timbrel listen --report report/ --analyse",
    ),
    "info": ("timbrel info", "timbrel info --json"),
    "notes encode": (
        "timbrel notes encode flute.wav bass.wav -o codes.npz",
        "timbrel notes encode flute.wav -o flute.npz --json",
    ),
    "notes decode": (
        "timbrel notes decode flute.npz -o flute-again.wav",
        "timbrel notes decode codes.npz -o decoded/ --stretch 2",
    ),
    "notes reconstruct": (
        "timbrel notes reconstruct flute.wav -o flute-coded.wav",
        "timbrel notes reconstruct flute.wav bass.wav -o coded/ --temperature 0.8",
    ),
    "notes morph": (
        "timbrel notes morph flute.wav bass.wav --steps 3 -o morphs/",
        "timbrel notes morph flute.wav bass.wav --path -o moving/",
    ),
    "notes grid": (
        "timbrel notes grid flute.wav bass.wav bell.wav voice.wav --size 2 -o grid/",
        "timbrel notes grid flutes/ basses/ bells/ voices/ -o instruments/",
    ),
    "notes rainbowgram": (
        "timbrel notes rainbowgram flute.wav -o flute.png",
        "timbrel notes rainbowgram flute.wav bass.wav -o both.svg",
    ),
    "notes prepare": (
        "timbrel notes prepare --soundfont FONT.sf3 --hold-out OTHER.sf2 -o notes/",
        "timbrel notes prepare --soundfont FONT.sf3 --pitches 48-72:12 --velocities 100 -o few/",
    ),
    "notes check": ("timbrel notes check notes/", "timbrel notes check notes/ --json"),
    "notes evaluate": (
        "timbrel notes evaluate notes/ -o report/",
        "timbrel notes evaluate notes/ --notes 16 --pairs 4 --baseline none -o quick/",
    ),
    "bench wavenet": ("timbrel bench wavenet", "timbrel bench wavenet --seconds 10 --json"),
}


def epilog(command: str) -> str:
    """The examples of a command, as its help shows them: each on a line of its own."""
    lines = (example.replace("[", r"\[") for example in EXAMPLES[command])
    return "\n\n".join(["Examples:", *lines])
