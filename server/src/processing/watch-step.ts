import type { StepRun } from './run-step.ts'
import type { EncodeStep } from './step.ts'

/** Told of each run of a step, and does it. */
export type WatchStep = <T>(run: StepRun, work: () => Promise<T>) => Promise<T>

/** How much film a step is for; 0 where that is not known yet. */
export function filmSeconds({ source, step }: Pick<StepRun, 'source' | 'step'>): number {
  const whole = (source.media_info?.durationMs ?? 0) / 1000
  if (step.kind !== 'encode') return whole
  const { range } = (step.part as EncodeStep).part
  return range === null ? whole : Math.max(0, Math.min(range.to ?? whole, whole) - range.from)
}
