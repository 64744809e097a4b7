/** The subtitles of a video, shown in front of the page. */
import { addSubtitles, listSubtitles, removeSubtitles } from './admin-api.js'
import {
  action,
  clearErrors,
  copyOf,
  find,
  notify,
  setText,
  showError,
  whileBusy,
} from './admin-dom.js'

const dialog = find('#subtitles')
const form = find('form', dialog)
const { file, language } = form.elements
let video = null

export async function showSubtitles(chosen) {
  video = chosen
  setText(find('#subtitles-heading'), `Subtitles of “${video.title}”`)
  form.reset()
  clearErrors(dialog)
  await reload()
  dialog.showModal()
}

async function reload() {
  const found = await listSubtitles(video.id)
  find('ul', dialog).replaceChildren(...found.map(itemOf))
  find('.none', dialog).hidden = found.length > 0
}

function itemOf(subtitles) {
  const item = copyOf('subtitles-template')
  const { label, language: code, is_forced: isForced, is_embedded: isEmbedded } = subtitles
  const facts = [code, isForced && 'forced', isEmbedded && 'from the film'].filter(Boolean)
  setText(find('.label', item), label)
  setText(find('.facts', item), facts.join(' · '))
  const button = action(item, 'remove')
  button.setAttribute('aria-label', `Remove: ${label}`)
  button.addEventListener('click', () => {
    if (!confirm(`Remove the subtitles “${label}”?`)) return
    void change(button, () => removeSubtitles(video.id, subtitles.id), `“${label}” is removed.`)
  })
  return item
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  const fields = new FormData(form)
  if (file.files.length === 0) fields.delete('file')
  fields.set('is_forced', String(form.elements.is_forced.checked))
  void change(find('button', form), () => addSubtitles(video.id, fields), 'Subtitles are added.')
})

async function change(button, work, text) {
  await whileBusy(button, async () => {
    try {
      await work()
      clearErrors(dialog)
      form.reset()
      notify(text)
      await reload()
      find('#subtitles-heading').focus()
    } catch (error) {
      showError(dialog, error)
    }
  })
}

/** `film.de.srt` tells its language. */
file.addEventListener('change', () => {
  const [, code] = /\.([a-z]{2,3}(?:-[a-z]{2,4})?)(?:\.forced)?\.\w+$/i.exec(file.value) ?? []
  if (code && language.value === '') language.value = code
})
action(dialog, 'close').addEventListener('click', () => dialog.close())
