document.querySelector('#admin').textContent = ''
