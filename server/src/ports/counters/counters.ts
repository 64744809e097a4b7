/**
 * What throttles count by. A count may be too low, as after a restart; it never is too high, and asking never throws and
 * never waits for long. Keys may be addresses: they are stored nowhere in the clear that outlives the process.
 */
export interface Counters {
  /** Counters of one name count together. */
  counter(name: string, windowMs: number): Counter
  waits(name: string): Waits
}

/** Counts in fixed windows: each begins with the first that is counted. */
export interface Counter {
  /** One more. Gives how many there are in the window by now, and how long that still lasts. */
  add(key: string): Promise<{ count: number; leftMs: number }>
  forget(key: string): Promise<void>
}

/** Who has to wait. */
export interface Waits {
  /** From now on. What the key had to wait before no longer counts. */
  begin(key: string, seconds: number): Promise<void>
  /** 0 when there is nothing to wait for. */
  leftMs(key: string): Promise<number>
  forget(key: string): Promise<void>
}
