import { MediaFailure } from '../failure.ts'

/** What was to be packaged cannot be. `fault` is a clause about the film: `its index is damaged`. */
export function unpackable(fault: string, detail?: string): MediaFailure {
  const sentence = `The converted film cannot be packaged: ${fault}. Convert the film to H.264 and AAC, then upload it again.`
  return new MediaFailure('verification_failed', sentence, detail)
}

/** `detail` says where, for the log. */
export function damaged(detail: string): MediaFailure {
  return unpackable('its index is damaged', detail)
}
