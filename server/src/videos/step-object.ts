import type { ProcessingProgress, ProcessingStep } from '@videoflix/contract'
import type { StepView } from '../processing/step-views.ts'

/** From steps to what superusers get. Pure. */

export function toStep(step: StepView): ProcessingStep {
  const isRunning = step.state === 'running'
  return {
    name: step.name,
    state: step.state,
    percent: percentOf(step),
    speed: isRunning ? (step.progress?.speed ?? null) : null,
    eta_seconds: isRunning ? (step.progress?.etaSeconds ?? null) : null,
    attempts: step.attempts,
    command: step.command,
    output: step.output,
    error:
      step.error_code === null
        ? null
        : { code: step.error_code, message: step.error_message ?? '' },
    started_at: step.started_at?.toISOString() ?? null,
    finished_at: step.finished_at?.toISOString() ?? null,
  }
}

function percentOf({ state, progress }: StepView): number {
  if (state === 'done') return 100
  return state === 'running' ? (progress?.percent ?? 0) : 0
}

/**
 * What each kind of step is of the whole, in percent. Encoding is nearly all of it. Packaging counts once all is encoded:
 * until then more of it may follow, and what was done would become less.
 */
const SHARES = { probe: 1, copy: 4, encode: 90, subtitles: 1, package: 4 } as const

/** All steps in one: how far the source is, and what is being done now. */
export function toProgress(steps: StepView[], now: Date): ProcessingProgress {
  const running = steps.findLast(({ state, kind }) => state === 'running' && kind === 'encode')
  const current = running ?? steps.findLast(({ state }) => state === 'running')
  const percent = wholePercent(steps)
  return {
    step: current?.name ?? 'queued',
    percent,
    speed: current?.progress?.speed ?? null,
    eta_seconds: etaSeconds(steps, current, percent, now),
    attempt: Math.max(1, ...steps.map(({ attempts }) => attempts)),
  }
}

function wholePercent(steps: StepView[]): number {
  const encoding = steps.filter(({ kind }) => kind === 'encode')
  const isPlanned = encoding.length > 0
  const isEncoded = isPlanned && encoding.every(({ state }) => state === 'done')
  const sum = Object.entries(SHARES).reduce((total, [kind, share]) => {
    const own = steps.filter((step) => step.kind === kind)
    // A copy or subtitles that the film does not need are done when that is known.
    const isNeedless = own.length === 0 && isPlanned && ['copy', 'subtitles'].includes(kind)
    const parts = kind === 'package' && !isEncoded ? [] : own.map(percentOf)
    const average = parts.reduce((a, b) => a + b, 0) / Math.max(1, parts.length)
    return total + (share * (isNeedless ? 100 : average)) / 100
  }, 0)
  return Math.round(10 * Math.min(100, sum)) / 10
}

/** That of the last encoding step; of many, by how long the work so far has taken. */
function etaSeconds(
  steps: StepView[],
  current: StepView | undefined,
  percent: number,
  now: Date,
): number | null {
  const unfinished = steps.filter(({ kind, state }) => kind === 'encode' && state !== 'done')
  if (unfinished.length <= 1) return current?.progress?.etaSeconds ?? null
  const begun = steps[0]?.started_at
  if (!begun || percent < 3) return null
  const spentSeconds = (now.getTime() - begun.getTime()) / 1000
  return Math.ceil((spentSeconds * (100 - percent)) / percent)
}
