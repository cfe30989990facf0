"""A model of all General MIDI instruments beside FluidSynth, program by program and kit by kit."""
