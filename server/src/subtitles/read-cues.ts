/** A cue as it stands in the file: times may be in any order, and the text may be anything. */
export interface FoundCue {
  startMs: number
  endMs: number
  /** What follows the times on their line. */
  settings: string
  lines: string[]
}

const TIME = String.raw`(-?)(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2})(?:\s?[.,:]\s?(\d{1,3})\d*)?`
const TIMING = new RegExp(String.raw`^\s*${TIME}\s*-{1,3}>\s*${TIME}(?:\s(.*))?$`)

/**
 * The cues of a SubRip or WebVTT file, as forgiving as players are: hours, milliseconds and counters may be missing,
 * commas be dots, lines end in any way. All but the cues of WebVTT (styles, regions, notes, names of cues) is passed
 * over. Takes time in proportion to the text.
 */
export function readCues(text: string): FoundCue[] {
  const lines = text.replace(/^\uFEFF+/, '').split(/\r\n|\r|\n/)
  const isWebVtt = /^WEBVTT(?:[ \t]|$)/.test(lines[0] ?? '')
  const cues: FoundCue[] = []
  let current: FoundCue | null = null
  for (const line of lines) {
    const cue = readTiming(line)
    if (cue !== null) {
      if (!isWebVtt && current !== null) dropCounter(current.lines)
      cues.push(cue)
      current = cue
    } else if (isWebVtt && line === '') {
      current = null
    } else current?.lines.push(line)
  }
  return cues
}

function readTiming(line: string): FoundCue | null {
  const match = line.includes('->') ? TIMING.exec(line) : null
  if (match === null) return null
  return {
    startMs: toMs(match.slice(1, 6)),
    endMs: toMs(match.slice(6, 11)),
    settings: match[11] ?? '',
    lines: [],
  }
}

function toMs([sign, hours, minutes, seconds, fraction]: (string | undefined)[]): number {
  const wholeSeconds = (Number(hours ?? 0) * 60 + Number(minutes)) * 60 + Number(seconds)
  const ms = wholeSeconds * 1000 + Number((fraction ?? '').padEnd(3, '0'))
  return sign === '-' ? -ms : ms
}

/** SubRip's counter of the next cue. Alone, a number is what somebody says. */
function dropCounter(lines: string[]): void {
  if (lines.length > 1 && /^\s*\d+\s*$/.test(lines.at(-1) ?? '')) lines.pop()
}
