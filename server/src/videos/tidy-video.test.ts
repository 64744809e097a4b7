import { expect, test } from 'vitest'
import { BACKENDS } from '../../../test/harness/app.ts'
import { startDatabases } from '../../../test/harness/database.ts'
import { AppError } from '../errors.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import { systemClock } from '../ports/clock.ts'
import { NotYet } from '../tasks/task.ts'
import { tidyVideoHandler } from './tidy-video.ts'

test.each(['unavailable', 'misconfigured'] as const)(
  'files that cannot be deleted because the store is %s are deleted later, however late',
  async (code) => {
    await using databases = await startDatabases(BACKENDS[0] ?? 'sqlite')
    const { db } = await databases.migrated()
    const away = {
      // oxlint-disable-next-line require-yield
      async *list() {
        await Promise.resolve()
        throw new AppError(code, 'The store does not answer.')
      },
    } as unknown as ObjectStore
    const stores = { originals: away, intermediates: away, media: away }
    const handler = tidyVideoHandler({ db, ...stores, clock: systemClock })
    const task = { payload: { videoId: 1, originalKeys: [] } } as never
    await expect(handler.run(task)).rejects.toBeInstanceOf(NotYet)
  },
)
