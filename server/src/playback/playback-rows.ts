import type { Database } from '../db/database.ts'
import type { AudioTrackRow, RenditionRow, SourceRow, SubtitleRow } from '../db/tables.ts'
import type { FragmentIndex } from '../media/mp4/fragment-index.ts'

/** The reads of playback. A rendition or audio track without a fragment index does not exist for it. */

/** What plays of a video. Before anything is published, the newest source, for those who may see that. */
export async function findPlayingSource(
  db: Database,
  videoId: number,
  seesUnpublished: boolean,
): Promise<SourceRow | null> {
  const source = await db
    .selectFrom('videos')
    .innerJoin('sources', (join) =>
      join.on((eb) =>
        eb(
          'sources.id',
          '=',
          seesUnpublished
            ? eb.fn.coalesce('videos.published_source_id', 'videos.source_id')
            : eb.ref('videos.published_source_id'),
        ),
      ),
    )
    .selectAll('sources')
    .where('videos.id', '=', videoId)
    .executeTakeFirst()
  return source ?? null
}

/** Worst first. */
export async function listRenditions(db: Database, sourceId: number): Promise<RenditionRow[]> {
  return await db
    .selectFrom('renditions')
    .innerJoin('fragment_indexes', 'fragment_indexes.object_key', 'renditions.object_key')
    .selectAll('renditions')
    .where('renditions.source_id', '=', sourceId)
    .orderBy('renditions.height')
    .execute()
}

/** The main one first. It is part of every rendition, and so is its index. */
export async function listAudioTracks(db: Database, sourceId: number): Promise<AudioTrackRow[]> {
  return await db
    .selectFrom('audio_tracks')
    .leftJoin('fragment_indexes', 'fragment_indexes.object_key', 'audio_tracks.object_key')
    .selectAll('audio_tracks')
    .where('audio_tracks.source_id', '=', sourceId)
    .where((eb) =>
      eb.or([
        eb('audio_tracks.object_key', 'is', null),
        eb('fragment_indexes.object_key', 'is not', null),
      ]),
    )
    .orderBy('audio_tracks.position')
    .execute()
}

/** Those of the source, and those that were uploaded for the video whatever its source. */
export async function listSubtitles(
  db: Database,
  { id, video_id }: Pick<SourceRow, 'id' | 'video_id'>,
): Promise<SubtitleRow[]> {
  return await db
    .selectFrom('subtitles')
    .selectAll()
    .where('video_id', '=', video_id)
    .where((eb) => eb.or([eb('source_id', '=', id), eb('source_id', 'is', null)]))
    .orderBy('id')
    .execute()
}

/** All of a source by object key: what a master playlist or a manifest needs. */
export async function listFragments(
  db: Database,
  sourceId: number,
): Promise<Map<string, FragmentIndex>> {
  const rows = await db
    .selectFrom('fragment_indexes')
    .select(['object_key', 'fragments'])
    .where('source_id', '=', sourceId)
    .execute()
  return new Map(rows.map((row) => [row.object_key, row.fragments]))
}

export async function findFragments(
  db: Database,
  objectKey: string,
): Promise<FragmentIndex | null> {
  const row = await db
    .selectFrom('fragment_indexes')
    .select('fragments')
    .where('object_key', '=', objectKey)
    .executeTakeFirst()
  return row?.fragments ?? null
}
