import type { DataStore } from '@tus/server'
import type { Intake } from './intake.ts'

/** Where resumable uploads grow until they are whole: a folder of this machine, or the bucket. */
export interface UploadPlace {
  /** For the tus library: an offset that it tells is never taken back. */
  datastore: DataStore
  /** Throws `disk_full`. */
  assertRoomFor(sizeBytes: number): Promise<void>
  /** Of what is whole here. */
  intake: Intake
  /** Removes an upload. May be repeated. */
  remove(uploadId: string): Promise<void>
  /** Whether it has begun here, and is no video yet. */
  holds(uploadId: string): Promise<boolean>
  /** Ids of uploads that may be whole, and those that are a video already. */
  listIds(): Promise<string[]>
  /** Removes what has not grown for UPLOAD_TTL. */
  removeAbandoned(now: Date): Promise<void>
}
