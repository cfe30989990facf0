"""From SoundFonts and MIDI files to training data: rendering, preparation, etudes."""
