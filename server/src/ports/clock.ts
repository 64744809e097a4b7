/** The time of day. Substituted in tests; durations of real waiting use timers instead. */
export interface Clock {
  now(): Date
}

export const systemClock: Clock = { now: () => new Date() }
