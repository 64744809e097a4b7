import { sql } from 'kysely'
import type { Database, Engine } from '../../server/src/db/database.ts'
import { asJson } from '../../server/src/db/tables.ts'

/**
 * A library as large as it gets, written straight into the tables. Words come as often as in a language: the n-th most
 * frequent one n times less than the first.
 */

export const VIDEOS = 100_000
const VOCABULARY = 20_000
const WORDS_OF_DESCRIPTION = 40
const VIDEOS_AT_ONCE = 1000

const CATEGORIES = ['Action', 'Comedy', 'Crime', 'Drama', 'Documentary', 'Fantasy', 'Other']

/** Words that are looked for, and in how many of the videos they are. */
export const IN_ALL = 'film'
export const IN_THREE = 'zyzzyva'
/** In the older half, which is far from where a search begins. */
export const IN_OLD_HALF = 'archive'
/** In half of them each, and never together. */
export const NEVER_TOGETHER = ['sunrise', 'moonlight'] as const
export const IN_ONE_OF_A_HUNDRED = 'volcano'
export const IN_ONE_OF_THIRTY = 'harbour'

export async function seedVideos(db: Database, engine: Engine): Promise<void> {
  const now = new Date()
  await db.transaction().execute(async (trx) => {
    for (let first = 1; first <= VIDEOS; first += VIDEOS_AT_ONCE) {
      await trx
        .insertInto('videos')
        .values(
          Array.from({ length: VIDEOS_AT_ONCE }, (_, at) => {
            const number = first + at
            return {
              title: `Film ${number} ${someWords(3)}`,
              description: `${markers(number)} ${someWords(WORDS_OF_DESCRIPTION)}`,
              category: CATEGORIES[number % CATEGORIES.length] ?? 'Other',
              created_at: new Date(now.getTime() - (VIDEOS - number) * 60_000),
              updated_at: now,
              published_source_id: null,
              source_id: null,
            }
          }),
        )
        .execute()
    }
    await addSources(trx)
  })
  // PostgreSQL does so by itself after a while; SQLite does not.
  if (engine === 'postgres') await sql`analyze`.execute(db)
}

function markers(number: number): string {
  const found = [IN_ALL, NEVER_TOGETHER[number % 2]]
  if (number <= VIDEOS / 2) found.push(IN_OLD_HALF)
  if (number % 30 === 0) found.push(IN_ONE_OF_THIRTY)
  if (number % 100 === 0) found.push(IN_ONE_OF_A_HUNDRED)
  if (number % 33_334 === 0 || number === 1) found.push(IN_THREE)
  return found.join(' ')
}

function someWords(count: number): string {
  return Array.from({ length: count }, () => wordOf(Math.floor(VOCABULARY ** Math.random()))).join(
    ' ',
  )
}

const SYLLABLES = ['ba', 'do', 'ki', 'lu', 'me', 'na', 'ri', 'so', 'tu', 'va']

/** A made-up word for each number. */
function wordOf(number: number): string {
  return [...String(number)].map((digit) => SYLLABLES[Number(digit)]).join('')
}

const MEDIA_INFO = asJson({
  container: 'mp4',
  durationMs: 5_400_000,
  sizeBytes: 1_500_000_000,
  video: { codec: 'h264', width: 1920, height: 1080, displayWidth: 1920, displayHeight: 1080 },
  audio: [{ codec: 'aac', channels: 2, language: 'eng' }],
})

async function addSources(db: Database): Promise<void> {
  await sql`
    insert into sources (video_id, upload_id, object_key, file_name, size_bytes, state, media_info,
      poster_key, created_at, updated_at)
    select id, 'bench-' || id, 'bench-' || id, 'film.mp4', 1, 'ready', ${MEDIA_INFO},
      'videos/' || id || '/1-1/poster.jpg', created_at, updated_at from videos`.execute(db)
  // Those of one film after each other, as they are made.
  await sql`
    insert into renditions (source_id, quality, object_key, width, height, size_bytes, bitrate_bps, codecs)
    select sources.id, height || 'p', 'videos/' || video_id || '/1-1/' || height || 'p.mp4',
      1, height, 1, 1, 'avc1.640028'
    from sources, (select 120 as height union all select 360 union all select 720 union all select 1080) as ladder
    order by sources.id, height`.execute(db)
  await sql`
    update videos set (source_id, published_source_id) =
      (select id, id from sources where sources.video_id = videos.id)`.execute(db)
}
