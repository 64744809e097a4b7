/**
 * What a row may mean by a path, a key or a URL, likeliest first: itself, and what follows one of `starts` in it
 * (`/media/`), each also without escapes of URLs.
 */
export function namesMeantBy(told: string, starts: string[]): string[] {
  const path = pathOf(told)
  const ways = [path, path.replace(/^\/+/, '')]
  for (const start of starts) {
    const at = path.indexOf(start)
    if (at >= 0) ways.push(path.slice(at + start.length))
  }
  return [...new Set(ways.flatMap((way) => [way, decoded(way)]))]
}

function pathOf(told: string): string {
  return /^https?:\/\//i.test(told) && URL.canParse(told) ? new URL(told).pathname : told
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
