import { unpackable } from '../unpackable.ts'
import { findBox } from './box-reader.ts'
import { fullBox } from './fields.ts'

/** Ticks of the media before what is shown, and ticks of the film before it is. */
export interface TrackStart {
  mediaTime: number
  startTicks: number
}

/**
 * From an edit list (ISO/IEC 14496-12 §8.6.6): at most one empty edit, then one piece of the media
 * up to its end. That is all encoders write; what cuts or slows a film cannot be packaged.
 */
export function trackStart(trak: Buffer, movieTimescale: number, timescale: number): TrackStart {
  const elst = findBox(trak, 'edts', 'elst')
  const edits = elst === undefined ? [] : readEdits(elst)
  const empty = edits[0]?.mediaTime === -1 ? edits.shift() : undefined
  const [shown, ...more] = edits
  if (more.length > 0 || (shown !== undefined && (shown.mediaTime < 0 || shown.rate !== 0x10000))) {
    throw unpackable('it has an edit list of several pieces')
  }
  return {
    mediaTime: shown?.mediaTime ?? 0,
    startTicks: Math.round(((empty?.duration ?? 0) * timescale) / movieTimescale),
  }
}

function readEdits(elst: Buffer): { duration: number; mediaTime: number; rate: number }[] {
  const { version, fields } = fullBox(elst)
  const count = fields.entries(version === 1 ? 20 : 12)
  return Array.from({ length: count }, () => ({
    duration: version === 1 ? fields.u64() : fields.u32(),
    mediaTime: version === 1 ? fields.i64() : fields.i32(),
    rate: fields.u32(),
  }))
}
