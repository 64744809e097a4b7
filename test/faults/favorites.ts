import { Unanswered, type Visitor } from './visitor.ts'

/** What somebody was told about their favourites, toggle by toggle. */
export class Favorites {
  readonly #visitor: Visitor
  /** Null: a toggle was not answered, and may have happened or not. */
  readonly #known = new Map<number, boolean | null>()

  constructor(visitor: Visitor) {
    this.#visitor = visitor
  }

  async toggle(videoId: number): Promise<void> {
    const before = this.#known.get(videoId) ?? (this.#known.has(videoId) ? null : false)
    const body = JSON.stringify({ video_id: videoId })
    const headers = { 'content-type': 'application/json' }
    this.#known.set(videoId, null)
    try {
      const reply = await this.#visitor.once('/content/add-favorite/', {
        ...{ method: 'POST', headers, body },
      })
      if (reply.status === 200) {
        const isNow = ((await reply.json()) as number[]).includes(videoId)
        this.#known.set(videoId, isNow)
        if (before === isNow) {
          this.#visitor.complaints.push(
            `a toggle of ${videoId} was acknowledged and changed nothing`,
          )
        }
      } else if (reply.status === 401) {
        this.#known.set(videoId, before)
        await this.#visitor.signIn()
      } else if (reply.status === 404) this.#known.delete(videoId)
    } catch (error) {
      if (!(error instanceof Unanswered || error instanceof TypeError)) throw error
    }
  }

  forget(videoId: number): void {
    this.#known.delete(videoId)
  }

  /** Sentences about what is there now and was not told so. */
  async audit(): Promise<string[]> {
    const there = new Set(await this.#visitor.signIn())
    const strange = [...there].filter((id) => !this.#known.has(id))
    const wrong = [...this.#known].filter(
      ([id, isOne]) => isOne !== null && isOne !== there.has(id),
    )
    return [
      ...strange.map((id) => `${id} is a favourite of somebody who never chose it`),
      ...wrong.map(([id, isOne]) => `${id} is ${isOne ? 'no favourite any more' : 'a favourite'}`),
    ]
  }
}
