"""A song of thirteen tracks in a real browser: what one change does to it, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from mido import Message, MetaMessage, MidiFile, MidiTrack
from page_browser import captured, opened, serving, state, until
from playwright.sync_api import Browser, BrowserContext, Page, expect

from support.page_visits import (
    assert_sounds_as,
    drag,
    drop,
    duo,
    files_with_clock,
    press,
    saved,
    two_notes,
)
from timbrel import Synthesizer
from timbrel.constants import SMALL_MODEL
from timbrel.score.midi import parse_midi

PROGRAMS = (0, 46, 56, 19, 48, 11, 73, 24, 40, 42, 71, 68, 60)
ACROSS = [(0.25, 0.3), (0.5, 0.4), (0.75, 0.6)]  # a way over the map
SLOW = 50  # a clock of such a pace makes any computer too slow
_ATTEMPTS = 8  # to hear a song without a gap, where other programs want the cores, too
PHONE: Any = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def song() -> bytes:
    """Thirteen parts with long names, each in two notes, for a second and a half."""
    tracks = []
    for number, program in enumerate(PROGRAMS, 1):
        channel = number - 1 if number < 10 else number  # the tenth one is for drums
        name = f"Part {number} of the thirteen that this song is made of"
        track = MidiTrack([MetaMessage("track_name", name=name)])
        track.append(Message("program_change", channel=channel, program=program))
        for pitch in (48 + number, 55 + number):
            track.append(Message("note_on", channel=channel, note=pitch, velocity=80, time=20))
            track.append(Message("note_off", channel=channel, note=pitch, time=700))
        tracks.append(track)
    return saved(MidiFile(tracks=tracks))


def open_song(page: Page, content: bytes, *, waits: bool = False) -> None:
    drop(page, "song.mid", content)
    until(page, "title", lambda title: title == "song.mid")
    page.evaluate("timbrel.stop()")
    page.evaluate(f"timbrel.transport.waits = {str(waits).lower()}")


def points(page: Page) -> list[Any]:
    """The timbres of all tracks."""
    return state(page, "piece.voices.map(({ timbre }) => timbre.points)")


def width(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


def test_the_playhead_never_widens_the_page(page: Page) -> None:
    before = width(page)
    page.get_by_role("button", name="C4", exact=True).focus()
    page.keyboard.down("Enter")
    until(page, "transport.seconds", lambda seconds: seconds > 2)
    assert width(page) == before
    page.keyboard.up("Enter")
    page.evaluate("timbrel.stop()")
    # What rings on after the last note goes on beyond the end of the path's panel, too.
    open_song(page, two_notes())
    press(page, "Play")
    until(page, "transport.seconds", lambda seconds: seconds > 1.5)
    assert state(page, "seconds") > 1.5
    assert width(page) == before
    lane, now = (page.locator(name).bounding_box() for name in (".lane", ".lane .now"))
    assert lane is not None
    assert now is not None
    assert now["x"] <= lane["x"] + lane["width"]


def test_a_drag_changes_what_was_selected_and_can_be_undone(page: Page) -> None:
    open_song(page, song())
    in_file = points(page)
    synthesizer = Synthesizer.load(SMALL_MODEL)
    wanted = [synthesizer.nearest_instrument(track) for track in parse_midi(song()).tracks]
    for number, name in enumerate(wanted, 1):
        expect(page.get_by_label(f"Timbre of track {number}", exact=True)).to_have_value(name)
    assert len(set(wanted)) > 5

    # Nobody chose a track: the song keeps its instruments, and the keyboard gets the timbre.
    expect(page.get_by_role("radio", name="Keyboard", exact=True)).to_be_checked()
    drag(page, ACROSS, 20)
    assert points(page) == in_file
    page.keyboard.press("Control+z")

    page.get_by_label("Timbre of", exact=True).select_option(label=f"3. {track_name(3)}")
    expect(page.get_by_role("radio").nth(4)).to_be_checked()
    drag(page, ACROSS, 20)
    one = points(page)
    assert one[2] != in_file[2]
    assert one[:2] + one[3:] == in_file[:2] + in_file[3:]
    page.keyboard.press("Control+z")
    assert points(page) == in_file
    page.keyboard.press("Control+Shift+z")
    assert points(page) == one

    page.get_by_role("radio", name="All tracks").check()
    drag(page, ACROSS, 20)
    same = points(page)
    assert all(point == same[0] for point in same)
    press(page, "Undo")  # the whole drag at once
    assert points(page) == one
    press(page, "Redo")
    assert points(page) == same
    press(page, "Back to the file’s instruments")
    assert points(page) == in_file
    back = page.get_by_role("button", name="Back to the file’s instruments")
    expect(back).to_be_disabled()
    press(page, "Undo")
    assert points(page) == same

    # A slider's way is one step, too.
    slider = page.get_by_role("slider", name="Share of").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    for i, across in enumerate((0.9, 0.7, 0.5, 0.3)):
        page.mouse.move(box["x"] + across * box["width"], box["y"] + box["height"] / 2)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    assert points(page) != same
    press(page, "Undo")
    assert points(page) == same


def track_name(number: int) -> str:
    return parse_midi(song()).tracks[number - 1].name


def test_a_phone_shows_all_of_thirteen_tracks(browser: Browser, url: str) -> None:
    context = browser.new_context(**PHONE)
    page = opened(context, url)
    open_song(page, song())
    tracks = page.get_by_role("radiogroup", name="Tracks")
    assert tracks.evaluate("(one) => one.scrollWidth - one.clientWidth") <= 0
    assert width(page) <= 360
    controls = tracks.get_by_role("button").all() + tracks.get_by_role("combobox").all()
    assert len(controls) == 3 * 13
    for control in controls:
        box = control.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert box["width"] >= 30
    context.close()


def test_tracks_that_are_not_heard_are_not_computed(page: Page) -> None:
    open_song(page, song())
    until(page, "transport.nTracks", lambda n: n == 13)
    page.get_by_label("Mute track 1", exact=True).click()
    until(page, "transport.nTracks", lambda n: n == 12)
    expect(page.get_by_text("12 of 13 tracks computed")).to_be_visible()
    page.get_by_label("Solo track 2", exact=True).click()
    until(page, "transport.nTracks", lambda n: n == 1)
    page.get_by_role("checkbox", name="Room", exact=True).uncheck()
    page.evaluate("timbrel.transport.startCapture()")
    press(page, "Play")
    until(page, "transport.seconds", lambda seconds: seconds > 2.2)
    page.evaluate("timbrel.stop()")
    heard = captured(page)
    assert len(heard) > 28000
    # As it is in the mix of all of them: its own noise, and no louder. A machine that is short of
    # time still plays some of what it had computed with the room.
    score = parse_midi(song())
    score = replace(score, tracks=score.tracks[:2])
    stream = Synthesizer.load(SMALL_MODEL).stream(score, stems=True, stems_kind="pre-fader")
    gain = 10 ** (state(page, "transport.gainDb") / 20) * score.tracks[1].gain.values[0]
    wanted = gain * np.concatenate([block.tracks[1] for block in stream])
    assert_sounds_as(heard[16000:], np.stack([wanted, wanted], axis=1)[16000:])

    page.get_by_label("Mute track 2", exact=True).click()
    page.get_by_label("Solo track 2", exact=True).click()
    until(page, "transport.nTracks", lambda n: n == 11)
    page.evaluate(
        """timbrel.piece.voices.forEach(({ muted }, i) => {
            if (!muted) timbrel.piece.toggleMute(i);
        })"""
    )
    until(page, "transport.nTracks", lambda n: n == 0)
    page.evaluate("timbrel.transport.startCapture()")
    press(page, "Play")
    until(page, "transport.seconds", lambda seconds: seconds > 0.3)
    page.evaluate("timbrel.stop()")
    assert not captured(page)[1600:].any()


def test_a_track_that_comes_in_late_sounds_as_if_it_had_been_computed(page: Page) -> None:
    notes = duo(times=12)
    for _ in range(_ATTEMPTS):
        heard, begun, gain, underruns = _with_a_late_track(page, notes)
        if not underruns:  # a busy machine may lose some of the sound
            break
    duration_s = len(heard) / 16000 + 1
    wanted = Synthesizer.load(SMALL_MODEL).render(
        parse_midi(notes), gain_db=gain, duration_s=duration_s
    )
    n = round(16000 * begun)
    assert len(heard) > n + 16000
    assert_sounds_as(heard[n:], wanted[n:])


def _with_a_late_track(page: Page, notes: bytes) -> tuple[np.ndarray, float, float, int]:
    """What is heard, from when on of both tracks, the gain, and how often there was a gap."""
    open_song(page, notes)
    page.get_by_label("Solo track 1", exact=True).click()
    until(page, "transport.nTracks", lambda n: n == 1)
    before = state(page, "transport.underruns")
    page.evaluate("timbrel.transport.startCapture()")
    press(page, "Play")
    until(page, "transport.seconds", lambda seconds: seconds > 1)
    page.get_by_label("Solo track 1", exact=True).click()
    until(page, "transport.nTracks", lambda n: n == 2)
    begun = state(page, "transport.seconds") + 1
    until(page, "transport.seconds", lambda seconds: seconds > begun + 2)
    page.evaluate("timbrel.stop()")
    underruns = state(page, "transport.underruns") - before
    return captured(page), begun, state(page, "transport.gainDb"), underruns


def test_a_song_that_is_too_much_is_computed_ahead(context: BrowserContext) -> None:
    """The warning stands where it is seen, and what is played then has no gaps."""
    with serving(files_with_clock(SLOW)) as server:
        page = opened(context, server.url)
        page.set_viewport_size(PHONE["viewport"])
        open_song(page, song(), waits=True)
        warning = page.get_by_text("too slow to play 13 tracks")
        expect(warning).to_be_visible()
        box = warning.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < PHONE["viewport"]["height"]

        press(page, "Play")
        bar = page.get_by_role("progressbar", name="Computing ahead")
        expect(bar).to_be_visible()
        until(page, "transport.rendering.progress", lambda progress: progress and progress > 0)
        expect(page.get_by_text("left", exact=False)).to_be_visible()
        press(page, "Cancel")
        expect(bar).to_have_count(0)
        expect(warning).to_be_visible()
        assert not state(page, "transport.playing")

        page.evaluate("timbrel.transport.startCapture()")
        press(page, "Play")
        until(page, "transport.playing", lambda playing: playing)
        assert state(page, "transport.rendered")
        until(page, "transport.playing", lambda playing: not playing)
        assert state(page, "transport.underruns") == 0
        gain = state(page, "transport.gainDb")
        wanted = Synthesizer.load(SMALL_MODEL).render(parse_midi(song()), gain_db=gain)
        assert_sounds_as(captured(page), wanted)

        # Another sound is computed as it plays; the one that was rendered is still there.
        page.get_by_label("Mute track 1", exact=True).click()
        until(page, "transport.nTracks", lambda n: n == 12)
        expect(warning).to_have_count(0)
        expect(page.get_by_text("too slow to play 12 tracks")).to_be_visible()
        page.get_by_label("Mute track 1", exact=True).click()
        until(page, "transport.rendered", lambda rendered: rendered)
        page.evaluate("timbrel.transport.play()")
        until(page, "transport.seconds", lambda seconds: seconds > 0.2)
        assert state(page, "transport.nTracks") == 0
