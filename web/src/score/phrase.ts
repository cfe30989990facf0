// What lets a timbre be heard, and seen in its picture: three notes, or a beat on drums.

import constants from "../constants.json";
import { plainTrack, type Track } from "./score";

const { phrase, drumPhrase } = constants;

export function phraseTrack(isKit: boolean): Track {
  const notes = (isKit ? drumPhrase : phrase).map(({ start_s, end_s, ...note }) => ({
    ...note,
    start: start_s,
    end: end_s,
  }));
  return { ...plainTrack("phrase", notes), isKit };
}
