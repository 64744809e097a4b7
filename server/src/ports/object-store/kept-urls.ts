import { LRUCache } from 'lru-cache'

/** Signed URLs repeat, as pages do: those of two thousand videos. */
const KEPT_URLS = 10_000

/** Gives the URL that was made under this name, or makes it. The name has all that the URL depends on. */
export function keptUrls(): (name: string, make: () => string) => string {
  const kept = new LRUCache<string, string>({ max: KEPT_URLS })
  return (name, make) => {
    const known = kept.get(name)
    if (known !== undefined) return known
    const made = make()
    kept.set(name, made)
    return made
  }
}
