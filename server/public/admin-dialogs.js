/** What is asked or shown in front of the page. */
import { deleteVideo, editVideo } from './admin-api.js'
import { action, clearErrors, find, notify, setText, showError, whileBusy } from './admin-dom.js'
import { replaceFile } from './admin-upload.js'

const editor = find('#editor')
const remover = find('#remover')
const replacement = find('#replacement')
/** What the open dialog's main button, or the chosen file, does. */
let confirm = async () => undefined

for (const dialog of [editor, remover]) {
  action(dialog, 'close').addEventListener('click', () => dialog.close())
}

find('form', editor).addEventListener('submit', (event) => {
  event.preventDefault()
  void confirm()
})
action(remover, 'delete').addEventListener('click', () => void confirm())
replacement.addEventListener('change', () => void confirm())

function open(dialog) {
  clearErrors(dialog)
  dialog.showModal()
}

/** Does the work of a dialog's button, then closes it and says so; what goes wrong is shown in it. */
async function finish(dialog, button, { work, text, onDone }) {
  await whileBusy(button, async () => {
    try {
      await work()
    } catch (error) {
      showError(dialog, error)
      return
    }
    dialog.close()
    notify(text)
    await onDone()
  })
}

export function edit(video, onDone) {
  const form = find('form', editor)
  for (const name of ['title', 'category', 'description']) form.elements[name].value = video[name]
  confirm = () =>
    finish(editor, find('button', form), {
      work: () => editVideo(video.id, Object.fromEntries(new FormData(form))),
      text: 'Saved.',
      onDone,
    })
  open(editor)
}

export function askToDelete(video, onDone) {
  const button = action(remover, 'delete')
  setText(
    find('#remover-text'),
    `“${video.title}” goes with its files, and out of everybody’s favourites. This cannot be undone.`,
  )
  confirm = () =>
    finish(remover, button, {
      work: () =>
        deleteVideo(video.id).catch((error) => {
          if (error.status !== 404) throw error // Somebody else was faster.
        }),
      text: `“${video.title}” is deleted.`,
      onDone,
    })
  open(remover)
}

export function chooseReplacement(video, onDone) {
  replacement.value = ''
  confirm = async () => replaceFile(video, replacement.files[0], onDone)
  replacement.click()
}
