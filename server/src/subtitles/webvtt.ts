import { AppError, invalid } from '../errors.ts'
import { vttTime } from '../media/vtt-time.ts'
import { cleanSettings } from './cue-settings.ts'
import { belongsToTop, cleanCueText } from './cue-text.ts'
import { readCues, type FoundCue } from './read-cues.ts'
import { decodeText } from './text-encoding.ts'

export const MAX_BYTES = 2 * 1024 * 1024
const MAX_CUES = 20_000

/**
 * WebVTT that every player takes, from SubRip or WebVTT of whatever origin: cues in order with clean times, settings,
 * tags and text. Styles, regions, notes and names of cues are left out. Throws `invalid` with a sentence under `file`
 * for more than 2 MB or 20,000 cues, and where there is no cue at all.
 */
export function toWebVtt(bytes: Uint8Array): string {
  if (bytes.length > MAX_BYTES) throw tooLarge()
  const found = readCues(decodeText(bytes))
  if (found.length > MAX_CUES) {
    throw refused('The file has more than 20,000 subtitles, the most there may be: shorten it.')
  }
  const cues = found
    .map((cue) => ({ ...cue, startMs: Math.max(0, cue.startMs) }))
    .filter((cue) => cue.endMs > cue.startMs)
    .sort((one, other) => one.startMs - other.startMs)
    .map(written)
    .filter((cue) => cue !== '')
  if (cues.length === 0) throw refused('The file holds no subtitles: send it as SRT or WebVTT.')
  return ['WEBVTT\n', ...cues].join('\n')
}

/** The same for subtitles that nobody sent, but a film has: null for what is refused. */
export function cleanWebVtt(bytes: Uint8Array): string | null {
  try {
    return toWebVtt(bytes)
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}

/** Empty where nothing would be seen. */
function written({ startMs, endMs, settings, lines }: FoundCue): string {
  const raw = lines.join('\n')
  const text = cleanCueText(raw, startMs, endMs)
  if (text === '') return ''
  const clean = cleanSettings(settings)
  if (belongsToTop(raw) && !clean.has('line')) clean.set('line', '0')
  const told = [...clean].map(([name, value]) => ` ${name}:${value}`).join('')
  return `${vttTime(startMs)} --> ${vttTime(endMs)}${told}\n${text}\n`
}

export function tooLarge(): Error {
  return refused('The file is larger than 2 MB: send the subtitles alone, as SRT or WebVTT.')
}

function refused(sentence: string): Error {
  return invalid({ file: [sentence] })
}
