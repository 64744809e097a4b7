import type { ColumnType, Generated, Selectable, Updateable } from 'kysely'
import type { MediaInfo } from '../media/media-info.ts'
import type { FragmentIndex } from '../media/mp4/fragment-index.ts'
import type { Storyboard } from '../media/storyboard.ts'

/**
 * The schema as Kysely sees it, the same on SQLite and PostgreSQL. JSON columns are written as text (`asJson`) and read
 * decoded; instants are `Date`s, to the millisecond.
 */
type Json<T> = ColumnType<T, string, string>
type NullableJson<T> = ColumnType<T | null, string | null | undefined, string | null>
/** Null unless it is given. */
type Optional<T> = ColumnType<T | null, T | null | undefined, T | null>

export interface UsersTable {
  id: Generated<number>
  /** Normalised (`normaliseEmail`); unique. */
  email: string
  username: string | null
  password_hash: string
  /** Null until the first change. A better hash of the same password is no change. */
  password_changed_at: Optional<Date>
  phone: string | null
  address: string | null
  is_active: boolean
  /** When the address was confirmed, or a superuser decided in its place; null while the account waits for that. */
  confirmed_at: Date | null
  is_superuser: boolean
  created_at: Date
  last_login_at: Date | null
}

export interface SessionsTable {
  /** Random, 128 bit; the `sid` of its access tokens. */
  id: string
  user_id: number
  /** Random, 256 bit, base64url. With a key of the server it makes the refresh tokens: useless alone. */
  key: string
  /** Which refresh token is current: 0 for the first. */
  counter: number
  rotated_at: Date
  /** Absolute: rotation copies it. */
  expires_at: Date
  is_remembered: boolean
  revoked_at: Date | null
  user_agent: string
  address: string
  created_at: Date
}

export type LinkPurpose = 'confirm' | 'reset' | 'change_email'

/** Single-use links sent by mail. Only the SHA-256 of the token is kept. */
export interface LinksTable {
  token_hash: string
  purpose: LinkPurpose
  user_id: number
  /** Of password hash and address when the link was made: a change of either voids it. */
  password_fingerprint: string
  /** The new address that a link of `change_email` proves. */
  email: Optional<string>
  expires_at: Date
  consumed_at: Date | null
  created_at: Date
}

export interface VideosTable {
  id: Generated<number>
  /** Unique. */
  title: string
  description: string
  category: string
  created_at: Date
  updated_at: Date
  /** The source whose renditions play; null until one was ready. */
  published_source_id: number | null
  /** The newest source: what plays, or what will. */
  source_id: number | null
}

/** What videos are found by; derived from their rows, and in no backup. */
export interface VideoWordsTable {
  video_id: number
  /** ` word` for each (`indexedText`); null while they have to be made. PostgreSQL keeps them as `lexemes`, and none here. */
  words: string | null
}

export type SourceState = 'pending' | 'processing' | 'ready' | 'error'

/** An uploaded file and what became of it. A video has one, or two while it is being replaced. */
export interface SourcesTable {
  id: Generated<number>
  video_id: number
  /** The upload that brought it; unique, so that finishing an upload twice finds the same source. */
  upload_id: string
  /** In the store of originals. */
  object_key: string
  file_name: string
  size_bytes: number
  sha256: string | null
  state: SourceState
  error_code: string | null
  error_message: string | null
  media_info: NullableJson<MediaInfo>
  poster_key: string | null
  /** What is to be made of it, decided once: later steps and other workers follow it. */
  plan: NullableJson<unknown>
  /** Where the sheets of small pictures are, and how they are laid out. */
  storyboard: NullableJson<Storyboard>
  /** ThumbHash of the poster, base64: some 25 bytes that look like it from afar. */
  thumb_hash: Optional<string>
  /** When the original was removed because KEEP_ORIGINAL is off, or given up as lost. */
  original_dropped_at: Optional<Date>
  created_at: Date
  updated_at: Date
}

export type StepKind = 'probe' | 'copy' | 'encode' | 'subtitles' | 'package'

/** One step on the way from a source to a video: a task does it, and what it made survives. */
export interface StepsTable {
  id: Generated<number>
  source_id: number
  /** Unique for the source; shown to superusers: `encode 3/12`. */
  name: string
  kind: StepKind
  /** What it has to do, by kind. */
  part: Json<unknown>
  state: 'waiting' | 'running' | 'done' | 'failed'
  task_id: number | null
  /** Times it was begun. */
  attempts: Generated<number>
  /** The last command line that was run for it. */
  command: Optional<string>
  /** The last lines that the command wrote. */
  output: Optional<string>
  /** Why the last attempt failed; null again once it is done. */
  error_code: Optional<string>
  error_message: Optional<string>
  /** What it made, by kind, once it is done. */
  result: NullableJson<unknown>
  started_at: Optional<Date>
  finished_at: Optional<Date>
}

export interface RenditionsTable {
  id: Generated<number>
  source_id: number
  /** `720p` */
  quality: string
  /** In the store of published media; unique. */
  object_key: string
  width: number
  height: number
  size_bytes: number
  bitrate_bps: number
  /** Of the richest segment, sound included; null for what was made before there were segments. */
  peak_bps: number | null
  /** Frames per second as a fraction, `24000/1001`; the average where it varies. Null as above. */
  frame_rate: string | null
  /** RFC 6381, comma-separated: `avc1.640028,mp4a.40.2`. */
  codecs: string
}

/** Where the fragments of a rendition or an audio track are. Apart from those, as it may be 100 KB long. */
export interface FragmentIndexesTable {
  object_key: string
  source_id: number
  fragments: Json<FragmentIndex>
}

/** The sound of a source, in each of its languages. */
export interface AudioTracksTable {
  id: Generated<number>
  source_id: number
  /** 0 is the main one. */
  position: number
  /** A file of its own; null for the main one, which is part of every rendition. */
  object_key: string | null
  /** ISO 639, as the source has it. */
  language: string | null
  /** For people: `English`, `Track 2`. */
  label: string
  /** RFC 6381: `mp4a.40.2`. */
  codec: string
  channels: number
  bitrate_bps: number
  peak_bps: number
  size_bytes: number
}

/** Subtitles as WebVTT files in the store of published media. */
export interface SubtitlesTable {
  id: Generated<number>
  video_id: number
  /** The source they were found in; null when they were uploaded, and stay when the source is replaced. */
  source_id: number | null
  object_key: string
  language: string | null
  label: string
  is_forced: boolean
  created_at: Date
}

export interface FavoritesTable {
  user_id: number
  video_id: number
  created_at: Date
}

export interface TasksTable {
  id: Generated<number>
  kind: string
  /** Of its kind when it was written. */
  lane: Generated<string>
  payload: Json<unknown>
  /** What it is about, such as `source:7`: to find it, and to cancel it. */
  subject: string
  due_at: Date
  /** Among those that are due, the lowest goes first. */
  priority: Generated<number>
  /** Times it was claimed. */
  attempts: Generated<number>
  /** Times a run reported that it failed; a lost lease is an attempt without a failure. */
  failures: Generated<number>
  lease_owner: string | null
  /** Fencing token: grows with every claim, and a commit must name it. */
  lease_token: Generated<number>
  lease_until: Date | null
  progress: NullableJson<unknown>
  last_error: string | null
  created_at: Date
  finished_at: Date | null
  outcome: 'done' | 'failed' | null
}

export interface AuditTable {
  id: Generated<number>
  at: Date
  event: string
  /** Whose account it is about. */
  user_id: number | null
  /** The superuser who did it to somebody else. */
  by_user_id: Optional<number>
  address: string | null
  details: Json<Record<string, unknown>>
}

/** The second factor of a user: one-time codes (RFC 6238). Without `confirmed_at` it is not asked for yet. */
export interface TotpTable {
  user_id: number
  /** `sealText`, purpose `totp`: the secret in base 32. */
  sealed_secret: string
  confirmed_at: Date | null
  /** The time step of the last accepted code: no code of it or before it is accepted again. */
  last_step: Generated<number>
  /** Wrong codes in a row. */
  failures: Generated<number>
  /** No code is looked at before this. */
  blocked_until: Date | null
  created_at: Date
}

/** Single-use stand-ins for a one-time code. Only the SHA-256 is kept. */
export interface RecoveryCodesTable {
  user_id: number
  code_hash: string
  used_at: Date | null
  created_at: Date
}

/** Who somebody is at an OpenID Connect provider: (issuer, subject) is unique, and a user has one for an issuer. */
export interface IdentitiesTable {
  issuer: string
  subject: string
  user_id: number
  created_at: Date
}

/** An event on its way to one receiver; with neither `delivered_at` nor `failed_at` there is a task that sends it. */
export interface WebhookDeliveriesTable {
  /** Random; the `webhook-id` of every attempt. */
  id: string
  event: string
  /** Not a reference: it outlives the video. Null for what is about none. */
  video_id: number | null
  /** Of the receiver, without user and password. */
  url: string
  /** JSON, exactly as it is sent and signed. */
  body: string
  created_at: Date
  /** Times that sending began. */
  attempts: Generated<number>
  delivered_at: Optional<Date>
  /** When it was given up. */
  failed_at: Optional<Date>
  /** HTTP status of the last answer; null when there was none. */
  last_status: Optional<number>
  /** Why the last attempt failed; null when it did not. */
  last_error: Optional<string>
}

/** Uploads that go straight to the bucket. The store knows their parts. */
export interface DirectUploadsTable {
  /** Random; also the upload's id and the original's key. */
  id: string
  /** What the store calls it. */
  store_id: string
  file_name: string
  /** Of the whole file, as was announced. */
  size_bytes: number
  /** Of every part but the last. */
  part_bytes: number
  /** When it became a video; from then on it cannot be aborted. */
  sealed_at: Date | null
  created_at: Date
  expires_at: Date
}

/** Resumable uploads whose bytes grow in the bucket: whole parts, and an object with what comes after them. */
export interface BucketUploadsTable {
  /** Random; also the original's key. */
  id: string
  /** What the store calls it. */
  store_id: string
  /** As the client sent it (tus `Upload-Metadata`). */
  metadata: Json<Record<string, string | null>>
  size_bytes: number
  /** Of every part but the last. */
  part_bytes: number
  /** So much is safe, and was perhaps acknowledged. */
  offset_bytes: number
  /** In the store of intermediates: what is safe beyond the last whole part. */
  tail_key: string | null
  created_at: Date
  expires_at: Date
}

/** Who may write to a resumable upload now, or makes a video of it. */
export interface UploadLocksTable {
  /** With `/finishing` behind it in the second case. */
  upload_id: string
  /** From `newOwner`. */
  owner: string
  held_until: Date
  /** Somebody else has come. */
  is_wanted: boolean
}

/** Uploads that have been made a video or a replacement: once, also if that was deleted since. */
export interface FinishedUploadsTable {
  upload_id: string
  finished_at: Date
}

export interface ImportsTable {
  /** Of the system that is taken over. */
  name: string
  /** The id of its last favourite that was looked at. */
  last_favorite: number
  /** Ids of favourites whose user or video was not there. */
  left_out: Json<number[]>
}

export interface Tables {
  users: UsersTable
  sessions: SessionsTable
  links: LinksTable
  videos: VideosTable
  video_words: VideoWordsTable
  sources: SourcesTable
  renditions: RenditionsTable
  fragment_indexes: FragmentIndexesTable
  audio_tracks: AudioTracksTable
  subtitles: SubtitlesTable
  steps: StepsTable
  favorites: FavoritesTable
  tasks: TasksTable
  audit: AuditTable
  totp: TotpTable
  recovery_codes: RecoveryCodesTable
  identities: IdentitiesTable
  webhook_deliveries: WebhookDeliveriesTable
  direct_uploads: DirectUploadsTable
  bucket_uploads: BucketUploadsTable
  upload_locks: UploadLocksTable
  finished_uploads: FinishedUploadsTable
  imports: ImportsTable
}

export type User = Selectable<UsersTable>
export type UserUpdate = Updateable<UsersTable>
export type SessionRow = Selectable<SessionsTable>
export type TotpRow = Selectable<TotpTable>
export type VideoRow = Selectable<VideosTable>
export type SourceRow = Selectable<SourcesTable>
export type RenditionRow = Selectable<RenditionsTable>
export type AudioTrackRow = Selectable<AudioTracksTable>
export type SubtitleRow = Selectable<SubtitlesTable>
export type StepRow = Selectable<StepsTable>
export type TaskRow = Selectable<TasksTable>
export type AuditRow = Selectable<AuditTable>
export type WebhookDeliveryRow = Selectable<WebhookDeliveriesTable>
export type DirectUploadRow = Selectable<DirectUploadsTable>
export type BucketUploadRow = Selectable<BucketUploadsTable>

/** For a JSON column: both engines take the text. */
export function asJson(value: unknown): string {
  return JSON.stringify(value)
}
