// The board asks again and again with the cookies it has, and cannot renew them: this does, while the page is open.
const RENEW_MS = 60_000

setInterval(async () => {
  const reply = await fetch('/users/refresh/', { method: 'POST' }).catch(() => null)
  if (reply?.status === 401) location.assign('/admin/')
}, RENEW_MS)
