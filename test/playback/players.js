// Runs in a browser: players of other people on one page, asked to do the same things.

const TIMEOUT_MS = 30_000

/** Each is given a video element and URLs, notes what goes wrong, and knows its qualities by height. */
const PLAYERS = {
  async 'hls.js'(video, { hls }, errors) {
    const player = new Hls({ maxBufferLength: 60 })
    player.on(Hls.Events.ERROR, (_event, { type, details, error, fatal }) => {
      // It calls off its own requests when it is told to switch.
      if (details === Hls.ErrorDetails.INTERNAL_ABORTED) return
      // A busy machine shows late what is there. What is missing has another name, and all is buffered in one piece.
      if (details === Hls.ErrorDetails.BUFFER_STALLED_ERROR && !fatal) return
      errors.push(`${type} ${details} ${error?.message ?? ''}`)
    })
    player.loadSource(hls)
    player.attachMedia(video)
    await until(() => player.levels.length > 0, 'levels')
    return {
      heights: () => player.levels.map(({ height }) => height),
      choose(height) {
        player.currentLevel = player.levels.findIndex((level) => level.height === height)
      },
      languages: () => player.audioTracks.map(({ lang }) => lang),
      speak(language) {
        player.audioTrack = player.audioTracks.findIndex(({ lang }) => lang === language)
      },
      showSubtitles() {
        player.subtitleTrack = 0
      },
      destroy: () => player.destroy(),
    }
  },

  async 'video.js'(video, { hls }, errors) {
    const player = videojs(video, { html5: { vhs: { overrideNative: true } } })
    player.on('error', () => errors.push(player.error().message))
    player.src({ src: hls, type: 'application/vnd.apple.mpegurl' })
    await until(() => player.tech(true)?.vhs?.representations?.().length > 1, 'representations')
    const { vhs } = player.tech(true)
    return {
      heights: () => vhs.representations().map(({ height }) => height),
      choose(height) {
        // What is enabled while others are is not switched to at once.
        for (const each of vhs.representations()) each.enabled(false)
        vhs
          .representations()
          .find((each) => each.height === height)
          .enabled(true)
      },
      languages: () => Array.from(player.audioTracks(), ({ language }) => language),
      speak(language) {
        const track = Array.from(player.audioTracks()).find((each) => each.language === language)
        track.enabled = true
      },
      showSubtitles() {
        const tracks = Array.from(player.textTracks())
        tracks.find(({ kind }) => kind === 'subtitles').mode = 'showing'
      },
      textTracks: () => player.textTracks(),
      destroy: () => player.dispose(),
    }
  },

  'shaka-player hls': (video, { hls, storyboard }, errors) =>
    shakaPlayer(video, hls, storyboard, errors),
  'shaka-player dash': (video, { dash, storyboard }, errors) =>
    shakaPlayer(video, dash, storyboard, errors),

  async dashjs(video, { dash }, errors) {
    const player = dashjs.MediaPlayer().create()
    player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => errors.push(error.message))
    // It pauses the element there, which has not ended then.
    let hasEnded = false
    player.on(dashjs.MediaPlayer.events.PLAYBACK_ENDED, () => (hasEnded = true))
    player.updateSettings({
      debug: { logLevel: dashjs.Debug.LOG_LEVEL_NONE },
      streaming: { buffer: { bufferTimeAtTopQuality: 60, bufferTimeDefault: 60 } },
    })
    player.initialize(video, dash, false)
    await until(() => player.isReady() && player.getActiveStream(), 'the manifest')
    await until(() => player.getRepresentationsByType('video').length > 0, 'representations')
    return {
      heights: () => player.getRepresentationsByType('video').map(({ height }) => height),
      choose(height) {
        player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } })
        const all = player.getRepresentationsByType('video')
        const { id } = all.find((each) => each.height === height)
        player.setRepresentationForTypeById('video', id, true)
      },
      languages: () => player.getTracksFor('audio').map(({ lang }) => lang),
      speak(language) {
        const tracks = player.getTracksFor('audio')
        player.setCurrentTrack(tracks.find(({ lang }) => lang === language))
      },
      showSubtitles() {
        player.setTextTrack(0)
        player.enableText(true)
      },
      hasEnded: () => hasEnded,
      destroy: () => player.destroy(),
    }
  },

  /** Picture and sound in one stream, and nothing to choose. */
  async 'hls.js muxed'(video, { muxed: hls }, errors) {
    const { destroy } = await PLAYERS['hls.js'](video, { hls }, errors)
    return { heights: () => [], destroy }
  },
  async 'shaka-player muxed'(video, { muxed }, errors) {
    const { destroy } = await shakaPlayer(video, muxed, null, errors)
    return { heights: () => [], destroy }
  },

  /** The element alone, with one rendition. */
  async native(video, { file }, errors) {
    video.addEventListener('error', () => errors.push(video.error.message))
    video.src = file
    await until(() => video.readyState > 0, 'metadata')
    return { heights: () => [], destroy: () => video.removeAttribute('src') }
  },
}

async function shakaPlayer(video, url, storyboard, errors) {
  shaka.polyfill.installAll()
  const player = new shaka.Player()
  player.addEventListener('error', ({ detail }) => errors.push(`${detail.code} ${detail.data}`))
  await player.attach(video)
  player.configure({ streaming: { bufferingGoal: 60 } })
  await player.load(url, null, url.startsWith('data:') ? 'application/x-mpegurl' : null)
  return {
    heights: () => [...new Set(player.getVariantTracks().map(({ height }) => height))],
    choose(height) {
      player.configure({ abr: { enabled: false } })
      const [active] = player.getVariantTracks().filter((track) => track.active)
      const wanted = player
        .getVariantTracks()
        .find((track) => track.height === height && track.language === active.language)
      player.selectVariantTrack(wanted, true)
    },
    languages: () => player.getAudioTracks().map(({ language }) => language),
    speak(language) {
      player.selectAudioTrack(player.getAudioTracks().find((track) => track.language === language))
    },
    showSubtitles: () => player.selectTextTrack(player.getTextTracks()[0]),
    async thumbnails() {
      const { id } = await player.addThumbnailsTrack(storyboard, 'text/vtt')
      const places = []
      for (const seconds of [3, 15]) {
        const { uris, positionX, positionY, startTime } = await player.getThumbnails(id, seconds)
        const image = new Image()
        image.src = uris[0]
        await image.decode()
        places.push({ startTime, x: positionX, y: positionY, sheetWidth: image.naturalWidth })
      }
      return places
    },
    destroy: () => player.destroy(),
  }
}

/** From the start to the end, with all that viewers do in between. What a player cannot do at all is left out. */
window.watch = async (name, urls) => {
  const video = document.createElement('video')
  video.muted = true
  video.setAttribute('playsinline', '')
  document.body.replaceChildren(video)
  const errors = []
  const seen = { errors }
  const player = await PLAYERS[name](video, urls, errors)
  const element = () => document.querySelector('video')
  try {
    seen.heights = player.heights().toSorted((one, other) => one - other)
    await element().play()
    await advances(element())
    seen.duration = element().duration
    player.showSubtitles?.()
    await until(() => isBuffered(element()), 'the whole film')
    await seek(element(), 4)
    seen.widths = {}
    for (const height of [seen.heights.at(-1), seen.heights.at(-2)].filter(Boolean)) {
      const width = Math.round((height * 16) / 9)
      player.choose(height)
      await until(() => element().videoWidth === width, `a picture ${width} wide`)
      seen.widths[height] = element().videoWidth
      await advances(element())
    }
    await seek(element(), 1)
    await until(() => isBuffered(element()), 'the whole film again')
    seen.languages = player.languages?.()
    if (seen.languages?.length > 1) {
      player.speak(seen.languages.at(-1))
      await advances(element())
    }
    if (player.showSubtitles)
      seen.subtitles = await firstCue(player.textTracks?.() ?? element().textTracks)
    seen.thumbnails = await player.thumbnails?.()
    await seek(element(), seen.duration - 1)
    await until(() => element().ended || player.hasEnded?.(), 'the end')
    seen.endedAt = element().currentTime
    return seen
  } catch (error) {
    const now = stateOf(element())
    throw new Error(`${error.message}: ${JSON.stringify({ seen, now })}`, { cause: error })
  } finally {
    await player.destroy()
  }
}

function stateOf(video) {
  const { currentTime, readyState, videoWidth, paused, seeking, duration } = video
  return { currentTime, readyState, videoWidth, paused, seeking, duration, buffered: ranges(video) }
}

function ranges({ buffered }) {
  return Array.from({ length: buffered.length }, (_, at) => [buffered.start(at), buffered.end(at)])
}

/** In one piece, from the start to the end. */
function isBuffered(video) {
  const [[start, end] = [Infinity, 0], ...others] = ranges(video)
  return others.length === 0 && start < 0.1 && end > video.duration - 0.1
}

async function seek(video, seconds) {
  video.currentTime = seconds
  await until(() => !video.seeking, `the place at ${seconds} s`)
  await advances(video)
}

async function advances(video) {
  const from = video.currentTime
  await until(() => video.currentTime > from + 0.3 || video.ended, `time to pass after ${from} s`)
}

async function firstCue(tracks) {
  const cues = () =>
    Array.from(tracks)
      .filter(({ kind }) => kind === 'subtitles')
      .flatMap((track) => Array.from(track.cues ?? []))
  await until(() => cues().length > 0, 'cues')
  const [{ startTime, endTime, text }] = cues()
  return { startTime, endTime, text }
}

async function until(isTrue, what) {
  const deadline = Date.now() + TIMEOUT_MS
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
}
