import { sql, type RawBuilder, type SqlBool } from 'kysely'
import { invalid } from '../errors.ts'

/** Where a page ends: the next one begins with what is older. Videos that come or go elsewhere do not move it. */
export interface Cursor {
  createdAt: Date
  id: number
}

/** Opaque to clients. */
export function toCursor({ createdAt, id }: Cursor): string {
  return Buffer.from(`${createdAt.getTime()} ${id}`).toString('base64url')
}

/** Throws `invalid` for what `toCursor` did not make. */
export function readCursor(text: string): Cursor {
  const [, time = '', id = ''] =
    /^(\d{1,14}) (\d{1,15})$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? []
  const cursor = { createdAt: new Date(Number(time)), id: Number(id) }
  if (time === '' || toCursor(cursor) !== text) {
    throw invalid({
      cursor: ['This is no cursor of ours: follow the link to the next page, or begin without.'],
    })
  }
  return cursor
}

/** In the order of the list; all of them without a cursor. */
export function olderThan(after: Cursor | null): RawBuilder<SqlBool> {
  return after === null
    ? sql`true`
    : sql`(videos.created_at, videos.id) < (${after.createdAt}, ${after.id})`
}
