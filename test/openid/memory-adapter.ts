import type { Adapter, AdapterPayload } from 'oidc-provider'

/** Where the test provider keeps codes, sessions and grants: oidc-provider warns of its own, which is for trials too. */
export class MemoryAdapter implements Adapter {
  static readonly #kept = new Map<string, AdapterPayload>()
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  upsert(id: string, payload: AdapterPayload): Promise<undefined> {
    MemoryAdapter.#kept.set(this.#key(id), payload)
    return Promise.resolve(undefined)
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(MemoryAdapter.#kept.get(this.#key(id)))
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#all().find((payload) => payload.uid === uid))
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#all().find((payload) => payload.userCode === userCode))
  }

  consume(id: string): Promise<undefined> {
    const payload = MemoryAdapter.#kept.get(this.#key(id))
    if (payload) payload.consumed = Math.floor(Date.now() / 1000)
    return Promise.resolve(undefined)
  }

  destroy(id: string): Promise<undefined> {
    MemoryAdapter.#kept.delete(this.#key(id))
    return Promise.resolve(undefined)
  }

  revokeByGrantId(grantId: string): Promise<undefined> {
    for (const [key, payload] of MemoryAdapter.#kept) {
      if (payload.grantId === grantId) MemoryAdapter.#kept.delete(key)
    }
    return Promise.resolve(undefined)
  }

  #key(id: string): string {
    return `${this.#name}:${id}`
  }

  #all(): AdapterPayload[] {
    return [...MemoryAdapter.#kept]
      .filter(([key]) => key.startsWith(`${this.#name}:`))
      .map(([, payload]) => payload)
  }
}
