import { MediaFailure } from './failure.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** A file of 1 KB can claim a second and spread two frames over a day. `declaredMs` is 0 where unknown. */
export function refuseRunaway(declaredMs: number, reachedMs: number): void {
  if (declaredMs === 0 || reachedMs <= 2 * declaredMs + MINUTE) return
  const told = (ms: number): string => `${Math.round(ms / SECOND)} s`
  throw new MediaFailure(
    'broken_timestamps',
    `The film claims to last ${told(declaredMs)}, but its pictures reach beyond ${told(reachedMs)}. Repair its timestamps, or export it again.`,
  )
}

/**
 * Throws `truncated` when much less could be read than the file declares. Short films are given
 * three quarters of a second, as containers round, and long ones a tenth, as some only estimate.
 */
export function refuseTruncated(declaredMs: number, readMs: number): void {
  if (declaredMs - readMs <= Math.max(0.75 * SECOND, declaredMs / 10)) return
  throw new MediaFailure(
    'truncated',
    `The file ends too early: ${seconds(readMs)} of ${seconds(declaredMs)} could be read. Upload it again.`,
  )
}

function seconds(ms: number): string {
  return ms >= 10 * SECOND ? `${Math.round(ms / SECOND)} s` : `${(ms / SECOND).toFixed(1)} s`
}
