import type { AudioStream, MediaInfo, VideoStream } from './media-info.ts'

/** For tests: a minute of 1080p25 H.264 with stereo sound, unless told otherwise. */
export function aSource(video: Partial<VideoStream> = {}, audio?: AudioStream | null): MediaInfo {
  return {
    container: 'mov,mp4,m4a,3gp,3g2,mj2',
    durationMs: 60_000,
    sizeBytes: 30_000_000,
    video: {
      streamIndex: 0,
      codec: 'h264',
      profile: 'High',
      pixelFormat: 'yuv420p',
      bitDepth: 8,
      codedWidth: 1920,
      codedHeight: 1080,
      displayWidth: 1920,
      displayHeight: 1080,
      rotationDegrees: 0,
      sampleAspectRatio: 1,
      frameRate: 25,
      isInterlaced: false,
      isFullRange: false,
      colorTransfer: null,
      colorPrimaries: null,
      colorSpace: null,
      isHdr: false,
      ...video,
    },
    audio:
      audio === undefined
        ? { streamIndex: 1, codec: 'aac', channels: 2, sampleRateHz: 48_000 }
        : audio,
  }
}
