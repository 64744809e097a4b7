import { Readable } from 'node:stream'
import type { Subtitles, SubtitlesChanges, SubtitlesFields } from '@videoflix/contract'
import type { Audit } from '../audit/audit.ts'
import { transact, type Database, type Transacting } from '../db/database.ts'
import type { SubtitleRow } from '../db/tables.ts'
import { AppError, invalid } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Doorbell } from '../ports/doorbell/doorbell.ts'
import { newId } from '../ports/ids.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'
import type { Staging } from '../uploads/staging.ts'
import type { Actor } from '../videos/library.ts'
import { subtitlesKey } from '../videos/object-keys.ts'
import { enqueueTidy } from '../videos/tidy-tasks.ts'
import { touch } from '../videos/touch.ts'
import { MAX_BYTES, toWebVtt } from './webvtt.ts'

/** What a superuser does with the subtitles of videos. Each method throws `not_found` without the video or them. */
export interface SubtitleLibrary {
  list(videoId: number): Promise<Subtitles[]>
  /** `file` is SubRip or WebVTT. Throws `invalid` for what holds no subtitles, and for too many; `disk_full`. */
  add(videoId: number, file: Uint8Array, fields: SubtitlesFields, by: Actor): Promise<Subtitles>
  edit(videoId: number, id: number, changes: SubtitlesChanges, by: Actor): Promise<Subtitles>
  /** The file goes shortly after. */
  remove(videoId: number, id: number, by: Actor): Promise<void>
}

/** Of those that are uploaded; a source may bring more. */
const MOST_A_VIDEO = 50

export function createSubtitleLibrary(needs: {
  db: Database
  clock: Clock
  doorbell: Doorbell
  audit: Audit
  media: ObjectStore
  staging: Staging
}): SubtitleLibrary {
  const { db, clock, doorbell, audit, media, staging } = needs

  async function change<T>(work: (trx: Transacting, now: Date) => Promise<T>): Promise<T> {
    const now = clock.now()
    const result = await transact(db, (trx) => work(trx, now))
    doorbell.ring('tasks')
    doorbell.ring('catalogue')
    return result
  }

  async function store(key: string, vtt: string): Promise<void> {
    const stagedId = newId()
    await staging.assertRoomFor(MAX_BYTES)
    try {
      await staging.receive(stagedId, Readable.from([Buffer.from(vtt)]))
      await media.putFile(key, staging.pathOf(stagedId))
    } finally {
      await staging.remove(stagedId)
    }
  }

  function insert(
    videoId: number,
    key: string,
    fields: SubtitlesFields,
    by: Actor,
  ): Promise<SubtitleRow> {
    return change(async (trx, now) => {
      await lockVideo(trx, videoId)
      const labels = await labelsWithRoom(trx, videoId)
      const row = await trx
        .insertInto('subtitles')
        .values({
          video_id: videoId,
          source_id: null,
          object_key: key,
          language: fields.language,
          label: fields.label ?? freeLabel(fields, labels),
          is_forced: fields.is_forced,
          created_at: now,
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      await touch(trx, videoId, now)
      const details = { video: videoId, subtitles: row.id, language: fields.language }
      await audit.recordIn(trx, 'subtitles_added', { ...by, details })
      return row
    })
  }

  return {
    async list(videoId) {
      await findVideo(db, videoId)
      const rows = await db
        .selectFrom('subtitles')
        .selectAll()
        .where('video_id', '=', videoId)
        .orderBy('id')
        .execute()
      return rows.map(toSubtitles)
    },

    async add(videoId, file, fields, by) {
      await findVideo(db, videoId)
      const vtt = toWebVtt(file)
      const key = subtitlesKey(videoId, newId())
      await store(key, vtt)
      const row = await insert(videoId, key, fields, by).catch(async (error: unknown) => {
        if (error instanceof AppError) await media.delete(key)
        throw error
      })
      return toSubtitles(row)
    },

    async edit(videoId, id, changes, by) {
      const row = await change(async (trx, now) => {
        await lockVideo(trx, videoId)
        const before = await findRow(trx, videoId, id)
        const {
          language = before.language,
          label = before.label,
          is_forced = before.is_forced,
        } = changes
        const after = { language, label, is_forced }
        await trx.updateTable('subtitles').set(after).where('id', '=', id).execute()
        await touch(trx, videoId, now)
        const details = { video: videoId, subtitles: id }
        await audit.recordIn(trx, 'subtitles_edited', { ...by, details })
        return { ...before, ...after }
      })
      return toSubtitles(row)
    },

    async remove(videoId, id, by) {
      await change(async (trx, now) => {
        await lockVideo(trx, videoId)
        const { language } = await findRow(trx, videoId, id)
        await trx.deleteFrom('subtitles').where('id', '=', id).execute()
        await touch(trx, videoId, now)
        const details = { video: videoId, subtitles: id, language }
        await audit.recordIn(trx, 'subtitles_removed', { ...by, details })
        await enqueueTidy(trx, videoId, [], now)
      })
    },
  }
}

async function findVideo(db: Database, videoId: number): Promise<void> {
  const query = db.selectFrom('videos').select('id').where('id', '=', videoId)
  if (!(await query.executeTakeFirst())) throw notFound()
}

async function lockVideo(trx: Transacting, videoId: number): Promise<void> {
  const query = trx.selectFrom('videos').select('id').where('id', '=', videoId)
  if (!(await query.forUpdate().executeTakeFirst())) throw notFound()
}

async function findRow(trx: Transacting, videoId: number, id: number): Promise<SubtitleRow> {
  const query = trx.selectFrom('subtitles').selectAll().where('id', '=', id)
  const row = await query.where('video_id', '=', videoId).executeTakeFirst()
  if (!row) throw notFound()
  return row
}

function notFound(): AppError {
  return new AppError('not_found', 'Not found.')
}

/** Throws `invalid` when there is no place for more. */
async function labelsWithRoom(trx: Transacting, videoId: number): Promise<string[]> {
  const rows = await trx
    .selectFrom('subtitles')
    .select(['label', 'source_id'])
    .where('video_id', '=', videoId)
    .execute()
  if (rows.filter((row) => row.source_id === null).length >= MOST_A_VIDEO) {
    const sentence = `A video has at most ${MOST_A_VIDEO} subtitles: remove some first.`
    throw invalid({ non_field_errors: [sentence] })
  }
  return rows.map((row) => row.label)
}

/** `German`, `German (forced)`; with a number where that is taken, as players show nothing but labels. */
function freeLabel({ language, is_forced }: SubtitlesFields, taken: string[]): string {
  const names = new Intl.DisplayNames(['en'], { type: 'language' })
  const label = `${names.of(language) ?? language}${is_forced ? ' (forced)' : ''}`
  let candidate = label
  for (let number = 2; taken.includes(candidate); number += 1) candidate = `${label} ${number}`
  return candidate
}

function toSubtitles(row: SubtitleRow): Subtitles {
  return {
    id: row.id,
    language: row.language,
    label: row.label,
    is_forced: row.is_forced,
    is_embedded: row.source_id !== null,
    created_at: row.created_at.toISOString().replace('Z', '000Z'),
  }
}
