import { DataStore, type Upload } from '@tus/server'
import type { Readable } from 'node:stream'
import type { UploadPlace } from './place.ts'

/**
 * Uploads begin in `place`. Those that `former` holds, from before the settings changed, go on there until they end:
 * what was acknowledged stays so.
 */
export function twoPlaces(place: UploadPlace, former: UploadPlace): UploadPlace {
  const placeOf = async (uploadId: string): Promise<UploadPlace> =>
    (await former.holds(uploadId)) ? former : place

  return {
    datastore: new TwoDataStores(place.datastore, async (id) => (await placeOf(id)).datastore),
    assertRoomFor: (sizeBytes) => place.assertRoomFor(sizeBytes),
    intake: async (upload, sender) => (await placeOf(upload.uploadId)).intake(upload, sender),
    remove: async (uploadId) => (await placeOf(uploadId)).remove(uploadId),
    holds: async (uploadId) => (await former.holds(uploadId)) || (await place.holds(uploadId)),
    listIds: async () => [...(await former.listIds()), ...(await place.listIds())],

    async removeAbandoned(now) {
      await place.removeAbandoned(now)
      await former.removeAbandoned(now)
    },
  }
}

class TwoDataStores extends DataStore {
  readonly #forNew: DataStore
  readonly #storeOf: (uploadId: string) => Promise<DataStore>

  constructor(forNew: DataStore, storeOf: (uploadId: string) => Promise<DataStore>) {
    super()
    this.#forNew = forNew
    this.#storeOf = storeOf
    this.extensions = forNew.extensions
  }

  override create(upload: Upload): Promise<Upload> {
    return this.#forNew.create(upload)
  }

  override async getUpload(id: string): Promise<Upload> {
    return await (await this.#storeOf(id)).getUpload(id)
  }

  override async write(bytes: Readable, id: string, offset: number): Promise<number> {
    return await (await this.#storeOf(id)).write(bytes, id, offset)
  }

  override async declareUploadLength(id: string, length: number): Promise<void> {
    await (await this.#storeOf(id)).declareUploadLength(id, length)
  }

  override async remove(id: string): Promise<void> {
    await (await this.#storeOf(id)).remove(id)
  }

  override getExpiration(): number {
    return this.#forNew.getExpiration()
  }
}
