/** Sends the new password with what the link in the mail carries. */
const form = document.querySelector('#reset')
const message = document.querySelector('#message')
const query = new URLSearchParams(location.search.replaceAll('amp;', ''))

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const reply = await fetch('/users/reset-password/', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      uid: query.get('uid'),
      token: query.get('token'),
      new_password: new FormData(form).get('new_password'),
    }),
  })
  const body = await reply.json()
  message.className = reply.ok ? 'good' : 'bad'
  message.textContent = reply.ok
    ? 'Your password is set. You can sign in with it now.'
    : (body.error ?? body.detail)
  if (reply.ok) form.querySelector('button').disabled = true
})
