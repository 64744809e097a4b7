import { z } from 'zod'

/** The tables of the Django original, as its migrations make them on both of its engines. */
export const LEGACY_TABLES = {
  users: 'users_app_userprofile',
  videos: 'content_app_video',
  favorites: 'users_app_userprofile_favorite_videos',
} as const

const id = z.coerce.number().int().positive()
/** SQLite has numbers. */
const flag = z.union([z.boolean(), z.literal([0, 1]).transform((value) => value === 1)])
/** SQLite has text, in UTC without saying so. */
const moment = z.union([
  z.date(),
  z
    .string()
    .transform((text) => new Date(`${text.replace(' ', 'T').replace(/(Z|[+-]00:?00)?$/, '')}Z`))
    .refine((date) => !Number.isNaN(date.getTime())),
])
const text = z
  .string()
  .nullish()
  .transform((value) => (value ?? '').replaceAll('\0', ''))
/** PostgreSQL gives what the JSON says, SQLite its text. `unreadable`: something else than names and what they stand for. */
const json = z.preprocess(
  (value) => {
    if (typeof value !== 'string') return value
    try {
      return value === '' ? null : (JSON.parse(value) as unknown)
    } catch {
      return 'unreadable'
    }
  },
  z
    .union([z.record(z.string(), z.unknown()), z.literal('unreadable')])
    .nullish()
    .catch('unreadable'),
)

export const legacyUser = z.object({
  id,
  password: text,
  last_login: moment.nullish().transform((value) => value ?? null),
  is_superuser: flag,
  username: text,
  email: text,
  is_active: flag,
  date_joined: moment,
  phone: text,
  address: text,
})
export type LegacyUser = z.infer<typeof legacyUser>

export const legacyVideo = z.object({
  id,
  title: text,
  description: text,
  category: text,
  created_at: moment,
  video_file: text,
  image_file: text,
  /** Path or URL by quality. */
  converted_files: json,
})
export type LegacyVideo = z.infer<typeof legacyVideo>

export const legacyFavorite = z.object({ id, userprofile_id: id, video_id: id })
export type LegacyFavorite = z.infer<typeof legacyFavorite>
