/** The list of uploads: what is to be sent, and how far it is. */
import { editVideo } from './admin-api.js'
import {
  action,
  clearErrors,
  copyOf,
  find,
  formatBytes,
  notify,
  setText,
  showError,
} from './admin-dom.js'
import { meter } from './admin-meter.js'
import { Transfer } from './admin-transfer.js'

/** What goes along in a header; longer descriptions follow when the video exists. */
const DESCRIPTION_IN_HEADER = 1000
const list = find('#uploads')
const uploadAll = find('#upload-all')
/** One film after the other. */
let turn = Promise.resolve()

/** Shows a form for the file. `onDone` hears of the new video. */
export function offerFile(file, onDone) {
  const item = addItem(file, file.name)
  const form = find('form', item)
  form.elements.title.value = titleOf(file.name)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const { title, category, description } = Object.fromEntries(new FormData(form))
    const isLong = description.length > DESCRIPTION_IN_HEADER
    const metadata = { title, category, description: isLong ? '' : description }
    void begin(item, file, metadata, async (id) => {
      if (isLong) await editVideo(id, { description }).catch((error) => notify(error.message, true))
      notify(`“${title || file.name}” is uploaded and will be made ready now.`)
      onDone()
    })
  })
  action(item, 'remove').addEventListener('click', () => close(item))
  return item
}

/** Sends another file for a video, at once. */
export function replaceFile(video, file, onDone) {
  const item = addItem(file, `New file for “${video.title}”`)
  item.scrollIntoView({ block: 'nearest' })
  void begin(item, file, { video: video.id }, () => {
    notify(`The new file for “${video.title}” is uploaded and will be made ready now.`)
    onDone()
  })
}

function addItem(file, name) {
  const item = copyOf('upload-template')
  item.setAttribute('aria-label', name)
  setText(find('.name', item), name)
  setText(find('.size', item), formatBytes(file.size))
  list.append(item)
  countWaiting()
  return item
}

/** Sends the file when it is its turn, as often as the person wants to try. */
async function begin(item, file, metadata, onDone) {
  const again = action(item, 'again')
  const upload = new Transfer(file, metadata, meter(item, file.size))
  const cancel = () => {
    void upload.cancel()
    close(item)
  }
  clearErrors(item)
  show(item, 'transfer')
  if (find('form', item).contains(document.activeElement)) action(item, 'cancel').focus()
  const listening = new AbortController()
  const { signal } = listening
  action(item, 'cancel').addEventListener('click', cancel, { signal })
  again.addEventListener('click', () => void attempt(), { signal })
  await attempt()

  async function attempt() {
    again.hidden = true
    clearErrors(item)
    setText(find('.now', item), 'Waiting for its turn')
    const mine = turn.then(() => (item.isConnected ? upload.run() : null))
    turn = mine.catch(() => undefined)
    try {
      const id = await mine
      if (id === null) return
      close(item)
      await onDone(id)
    } catch (error) {
      if (error.name === 'AbortError') return
      setText(find('.now', item), 'Not uploaded')
      const isAboutFields = Object.keys(error.fields ?? {}).length > 0 && !metadata.video
      if (isAboutFields) {
        listening.abort()
        show(item, 'form')
      } else again.hidden = false
      showError(item, error)
    }
  }
}

function show(item, part) {
  find('form', item).hidden = part !== 'form'
  find('.transfer', item).hidden = part !== 'transfer'
  item.classList.toggle('sending', part === 'transfer')
  countWaiting()
}

function close(item) {
  const hadFocus = item.contains(document.activeElement)
  item.remove()
  countWaiting()
  if (hadFocus) find('#upload-heading').focus()
}

const waitingForms = () => [...list.querySelectorAll('form:not([hidden])')]
const countWaiting = () => (uploadAll.hidden = waitingForms().length < 2)

uploadAll.addEventListener('click', () => {
  for (const form of waitingForms()) form.requestSubmit()
})
addEventListener('beforeunload', (event) => {
  if (find('.sending', list)) event.preventDefault()
})

/** As the server does for files without a title: `holiday_2024.final.mp4` → `holiday 2024 final` */
function titleOf(fileName) {
  const stem = fileName.replace(/(?<=.)\.[^.]*$/, '')
  return stem
    .replaceAll(/[._\s]+/g, ' ')
    .trim()
    .slice(0, 240)
}
