import { AppError } from '../errors.ts'
import { NotYet } from './task.ts'

const STORE_WAIT_MS = 30_000

/** Whatever is wrong with the store, now or until somebody changes its settings, says nothing about the film. */
export function isStoreAway(error: unknown): error is AppError {
  return (
    error instanceof AppError && (error.code === 'unavailable' || error.code === 'misconfigured')
  )
}

/** What a task throws for an error: while files cannot be reached it is not the task that failed, and it waits. */
export function waitForStore(error: unknown): unknown {
  return isStoreAway(error) ? new NotYet(STORE_WAIT_MS) : error
}
