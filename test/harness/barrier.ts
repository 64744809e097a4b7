/** A point that a test opens, and that others wait at. */
export interface Barrier<T = void> {
  opened: Promise<T>
  open(value: T): void
}

export function barrier<T = void>(): Barrier<T> {
  const { promise, resolve } = Promise.withResolvers<T>()
  return { opened: promise, open: resolve }
}

/** Opens when so many have come: none goes on before all are there. */
export function meetingOf(count: number): () => Promise<void> {
  const all = barrier()
  let come = 0
  return () => {
    come += 1
    if (come >= count) all.open()
    return all.opened
  }
}
