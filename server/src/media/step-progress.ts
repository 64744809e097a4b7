export type Step = 'probe' | 'encode' | 'package' | 'verify'

export interface TranscodeProgress {
  step: Step
  /** 0 to 100 over all steps, never falling. */
  percent: number
  /** Film seconds per second; null while unknown. */
  speed: number | null
  etaSeconds: number | null
}

/** Where each step begins, in percent. Encoding is nearly all of the time. */
const BEGIN: Record<Step, number> = { probe: 0, encode: 1, package: 95, verify: 97 }
const LEAST_MS = 250

/** Turns what happens into reports, at most four a second. */
export class StepProgress {
  readonly #report: (progress: TranscodeProgress) => void
  #step: Step = 'probe'
  #percent = 0
  #reportedAt = -Infinity

  constructor(report: (progress: TranscodeProgress) => void = () => undefined) {
    this.#report = report
  }

  enter(step: Step): void {
    this.#step = step
    this.#tell(BEGIN[step], null, null)
  }

  /** `totalMs` is 0 where unknown. */
  encoded(doneMs: number, totalMs: number, speed: number | null): void {
    const share = totalMs > 0 ? Math.min(1, doneMs / totalMs) : 0
    const left = totalMs > 0 && speed !== null && speed > 0
    const etaSeconds = left ? Math.max(0, Math.ceil((totalMs - doneMs) / 1000 / speed)) : null
    this.#tell(BEGIN.encode + share * (BEGIN.package - BEGIN.encode), speed, etaSeconds)
  }

  done(): void {
    this.#reportedAt = -Infinity // the last one is never left out
    this.#tell(100, null, 0)
  }

  #tell(percent: number, speed: number | null, etaSeconds: number | null): void {
    this.#percent = Math.max(this.#percent, Math.round(percent * 10) / 10)
    const now = performance.now()
    if (now - this.#reportedAt < LEAST_MS) return
    this.#reportedAt = now
    this.#report({ step: this.#step, percent: this.#percent, speed, etaSeconds })
  }
}
