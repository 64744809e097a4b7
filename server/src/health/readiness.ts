import type { Database } from '../db/database.ts'
import { hasCurrentSchema } from '../db/schema-version.ts'
import { within } from './within.ts'

/** Whether requests, or tasks, should be sent here. It has nothing to do with Redis, without which all goes on. */
export interface Readiness {
  /** Null when they should, else why not. Never throws, and answers within two seconds. */
  whyNot(): Promise<string | null>
  /** From now on it is not ready, and will not be again. */
  end(): void
}

const PATIENCE_MS = 2000
const ENDING = 'This process is ending.'

export function createReadiness(db: Database): Readiness {
  let isEnding = false
  return {
    async whyNot() {
      if (isEnding) return ENDING
      const isCurrent = await within(hasCurrentSchema(db), PATIENCE_MS)
      // It may have been told to end meanwhile.
      if (isEnding) return ENDING
      if (isCurrent === null) return 'The database does not answer.'
      return isCurrent ? null : 'The database has an older schema: run `videoflix migrate`.'
    },
    end() {
      isEnding = true
    },
  }
}
