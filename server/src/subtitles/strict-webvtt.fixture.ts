// @ts-expect-error It has no types.
import webVtt from 'webvtt-parser'

export interface StrictCue {
  startTime: number
  endTime: number
  linePosition: number | 'auto'
  text: string
}

interface Strictly {
  cues: StrictCue[]
  errors: { message: string; line: number }[]
}

const { WebVTTParser } = webVtt as {
  WebVTTParser: new () => { parse(text: string): Strictly }
}

/** For tests: the cues as the W3C's validator reads them. Throws for whatever is not valid WebVTT. */
export function strictCues(text: string): StrictCue[] {
  const { cues, errors } = new WebVTTParser().parse(text)
  if (errors.length > 0) throw new Error(`${JSON.stringify(errors)} in:\n${text.slice(0, 2000)}`)
  return cues
}
