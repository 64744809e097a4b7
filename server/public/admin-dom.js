/** Small helpers for the page. Text always goes in as text, never as HTML. */

export const find = (selector, root = document) => root.querySelector(selector)

/** A new copy of what a `<template>` holds. */
export const copyOf = (id) => find(`#${id}`).content.firstElementChild.cloneNode(true)

/** Leaves the node alone when nothing changes, so that screen readers stay quiet. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

export const action = (root, name) => find(`[data-action="${name}"]`, root)

let noticeTimer
/** One sentence at the bottom of the window, for a while. */
export function notify(text, isBad = false) {
  const notice = find('#notice')
  notice.className = isBad ? 'bad shown' : 'shown'
  notice.textContent = text
  clearTimeout(noticeTimer)
  noticeTimer = setTimeout(() => notice.classList.remove('shown'), isBad ? 12_000 : 6000)
}

/** What the person should read about an error. */
export const sentenceOf = (error) =>
  error.name === 'ApiError' ? error.message : `Something went wrong in this page: ${error.message}`

let ids = 0
/** Puts each message under its field, the others at the top of `root`, and the focus on the first. */
export function showError(root, error) {
  clearErrors(root)
  let first = null
  const others = []
  for (const [name, messages] of Object.entries(error.fields ?? {})) {
    const input = find(`form [name="${name}"]`, root)
    const text = [messages].flat().join(' ')
    const place = input?.closest('.field')?.querySelector('.error')
    if (!place) {
      others.push(text)
      continue
    }
    place.id ||= `error-${(ids += 1)}`
    place.textContent = text
    place.hidden = false
    input.setAttribute('aria-invalid', 'true')
    input.setAttribute('aria-describedby', place.id)
    first ??= input
  }
  if (!first && others.length === 0) others.push(sentenceOf(error))
  const top = find('[data-form-error]', root)
  top.textContent = others.join(' ')
  top.hidden = others.length === 0
  first?.focus()
}

export function clearErrors(root) {
  for (const place of root.querySelectorAll('.error')) place.hidden = true
  for (const input of root.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid')
    input.removeAttribute('aria-describedby')
  }
}

const busy = new WeakSet()
/** Does the work once however often the button is pressed. It is not disabled, for that would take the focus away. */
export async function whileBusy(button, work) {
  if (busy.has(button)) return
  busy.add(button)
  button.setAttribute('aria-busy', 'true')
  try {
    await work()
  } finally {
    busy.delete(button)
    button.removeAttribute('aria-busy')
  }
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB']
/** `12.3 MB` */
export function formatBytes(bytes) {
  let [value, unit] = [bytes, 0]
  for (; value >= 1000 && unit < UNITS.length - 1; unit += 1) value /= 1000
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit]}`
}

/** `1:02:03` */
export function formatDuration(ms) {
  const seconds = Math.round(ms / 1000)
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60]
  if (seconds >= 3600) parts.unshift(Math.floor(seconds / 3600))
  return parts.map((part, index) => String(part).padStart(index === 0 ? 1 : 2, '0')).join(':')
}

/** `about 3 min left` */
export function formatLeft(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.ceil(seconds))} s left`
  const minutes = Math.round(seconds / 60)
  if (minutes < 90) return `about ${minutes} min left`
  return `about ${Math.round(minutes / 60)} h left`
}

/** `12 s`, or `1:02:03` from a minute on. */
export const formatTaken = (ms) =>
  ms < 60_000 ? `${Math.max(1, Math.round(ms / 1000))} s` : formatDuration(ms)

/** `19 Jun 2026, 12:00:05` as it is written where the person is. */
export const formatTime = (instant) =>
  new Date(instant).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** Copies what the nodes say. Browsers give pages the clipboard only by HTTPS; elsewhere the text is marked to be copied. */
export async function copyText(nodes) {
  try {
    await navigator.clipboard.writeText(nodes.map((node) => node.textContent).join('\n\n'))
    notify('Copied.')
  } catch {
    const range = document.createRange()
    range.setStartBefore(nodes[0])
    range.setEndAfter(nodes.at(-1))
    getSelection().removeAllRanges()
    getSelection().addRange(range)
    notify('The text is marked: copy it with Ctrl+C.')
  }
}
