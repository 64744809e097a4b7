/** Where each unfinished upload is, beyond a reload of the page; a browser may refuse to remember. */
export const memory = {
  get: (key) => attempt(() => localStorage.getItem(key)) ?? null,
  set: (key, place) => attempt(() => localStorage.setItem(key, place)),
  delete: (key) => attempt(() => localStorage.removeItem(key)),
}

function attempt(work) {
  try {
    return work()
  } catch {
    return null
  }
}
