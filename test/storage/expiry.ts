/** When a URL ends, in seconds since 1970: ours tell that, those of S3 since when and for how long. */
export function expiryOf(url: string): number {
  const query = new URL(url).searchParams
  const expires = query.get('expires')
  if (expires !== null) return Number(expires)
  const since = (query.get('X-Amz-Date') ?? '').replace(
    /^(....)(..)(..T..)(..)(..Z)$/,
    '$1-$2-$3:$4:$5',
  )
  return Date.parse(since) / 1000 + Number(query.get('X-Amz-Expires'))
}
