import type { AdminVideo } from '@videoflix/contract'
import type { Logger } from 'pino'
import type { Database } from '../db/database.ts'
import { isDatabaseAway } from '../db/outage.ts'
import { STEP_TASKS } from '../processing/step.ts'
import type { AdminVideos } from './admin-videos.ts'
import { listChangeTimes } from './list-versions.ts'

export type VideoEvent =
  { event: 'video'; data: AdminVideo } | { event: 'deleted'; data: { id: number } }

export interface VideoEvents {
  /** Tells the listener of every change once this has resolved, which gives how to stop. */
  subscribe(listener: (event: VideoEvent) => void): Promise<() => void>
  close(): void
}

const LOOK_INTERVAL_MS = 1000

/**
 * Watches the catalogue while somebody listens, by looking at the database once a second: so it sees what any server or
 * worker does, and needs no message bus.
 */
export function createVideoEvents(needs: {
  db: Database
  log: Logger
  adminVideos: AdminVideos
}): VideoEvents {
  const { db, log, adminVideos } = needs
  const listeners = new Set<(event: VideoEvent) => void>()
  let timer: NodeJS.Timeout | undefined
  let firstLook = Promise.resolve()
  let updatedAt = new Map<number, string>()
  /** What was told last, to tell only what is new. */
  let told = new Map<number, string>()

  async function look(isFirst: boolean): Promise<void> {
    const changed = await findChanged(isFirst)
    const running = await runningVideos(db)
    const videos = await adminVideos.find([...new Set([...changed, ...running])])
    const latest = new Map(videos.map((video) => [video.id, withoutUrls(video)]))
    for (const video of videos) {
      if (told.get(video.id) !== latest.get(video.id)) tell({ event: 'video', data: video })
    }
    told = latest
  }

  /** Ids whose row is newer than at the last look; tells of those that are gone. */
  async function findChanged(isFirst: boolean): Promise<number[]> {
    const before = updatedAt
    updatedAt = await listChangeTimes(db)
    if (isFirst) return []
    for (const id of before.keys()) {
      if (!updatedAt.has(id)) tell({ event: 'deleted', data: { id } })
    }
    return [...updatedAt].filter(([id, at]) => before.get(id) !== at).map(([id]) => id)
  }

  function tell(event: VideoEvent): void {
    for (const listener of listeners) listener(event)
  }

  function start(): void {
    told = new Map()
    let looking = false
    const lookOnce = (isFirst: boolean): Promise<void> => {
      looking = true
      return look(isFirst)
        .catch((error: unknown) => {
          if (!isDatabaseAway(error)) log.warn({ err: error }, 'could not look for changed videos')
        })
        .finally(() => (looking = false))
    }
    timer = setInterval(() => {
      if (!looking) void lookOnce(false)
    }, LOOK_INTERVAL_MS)
    firstLook = lookOnce(true)
  }

  return {
    async subscribe(listener) {
      listeners.add(listener)
      if (listeners.size === 1) start()
      await firstLook
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) clearInterval(timer)
      }
    },
    close: () => clearInterval(timer),
  }
}

async function runningVideos(db: Database): Promise<number[]> {
  const rows = await db
    .selectFrom('tasks')
    .select('subject')
    .distinct()
    .where('kind', 'in', STEP_TASKS)
    .where('finished_at', 'is', null)
    .where('lease_until', 'is not', null)
    .execute()
  return rows.map((row) => Number(row.subject.slice('video:'.length)))
}

/** Signatures change with the hour; that is no news. */
function withoutUrls(video: AdminVideo): string {
  return JSON.stringify({
    ...video,
    image_file: video.image_file !== null,
    image_url: null,
    video_file: null,
    converted_files: Object.keys(video.converted_files),
  })
}
