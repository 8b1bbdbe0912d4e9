import type { GrantState } from '../grants/grant.ts'
import { catalog } from '../problems/catalog.ts'
import type { Problem } from '../problems/problem.ts'
import type { EarlierInstall, NewConnection } from './install.ts'

const htmlEntities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (char) => htmlEntities[char] ?? char)

const page = (title: string, paragraphs: readonly string[], connectUrl?: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}h1{font-size:1.4rem}</style>
<h1>${escapeHtml(title)}</h1>
${paragraphs.map((text) => `<p>${escapeHtml(text)}</p>`).join('\n')}
${connectUrl === undefined ? '' : `<p><a href="${escapeHtml(connectUrl)}">Start the install again</a></p>`}
</html>
`

const CLOSE = 'You can close this page.'
const date = (epochMs: number) => new Date(epochMs).toISOString()

/** What an administrator should know if HighLevel sent no refresh token. */
const renewalNotes = ({ renewedBy, expiresAt }: NewConnection): string[] => {
  const missing = 'HighLevel sent no refresh token.'
  if (renewedBy === 'kept-token')
    return [`${missing} The previous one is still used. If HighLevel refuses it, install the app again.`]
  if (renewedBy === 'unchanged') return [`${missing} The previous connection is still used, unchanged.`]
  if (renewedBy === 'new-token' || expiresAt === null) return []
  return [
    `${missing} Unless its company is connected, this connection ends on ${date(expiresAt)}: install the app again then.`
  ]
}

/** The page after a successful install. */
export function connectedPage(connection: NewConnection): string {
  const notes = [...renewalNotes(connection), ...connection.warnings, CLOSE]
  if ('locationId' in connection)
    return page('Connected', [`Location ${connection.locationId} is connected.`, ...notes])
  const { companyId, locationIds } = connection
  const locations =
    locationIds.length === 0
      ? 'HighLevel lists no locations for it yet: open the connect link again later.'
      : `Its locations: ${locationIds.join(', ')}.`
  return page('Connected', [`Company ${companyId} is connected. ${locations}`, ...notes])
}

const stateSentences: Record<GrantState, (since: string) => string> = {
  connected: () => 'is connected.',
  'backing-off': (since) =>
    `is connected, but its token could not be renewed since ${since}. The gateway keeps trying to renew it.`,
  paused: (since) => `is connected, but HighLevel has reported it as not active since ${since}.`,
  'reconnect-required': (since) => `was connected. HighLevel ended the connection on ${since}.`,
  uninstalled: (since) => `was connected. The app was removed on ${since}.`
}

/** The page for a callback that is opened again: what has become of the connection. */
export function earlierInstallPage({ subject, state, stateSince, warnings }: EarlierInstall, connectUrl: string) {
  const [kind, id] = subject.startsWith('company:') ? ['Company', subject.slice(8)] : ['Location', subject.slice(9)]
  const sentence = `${kind} ${id} ${stateSentences[state](date(stateSince))}`
  const hasEnded = state === 'reconnect-required' || state === 'uninstalled'
  return hasEnded ? page('Not connected', [sentence], connectUrl) : page('Connected', [sentence, ...warnings, CLOSE])
}

/** The page after a failed install. */
export const problemPage = ({ code, detail }: Problem, requestId: string, connectUrl: string): string =>
  page('Not connected', [`${detail}.`, `${catalog[code].title} (${code}). Request ${requestId}.`], connectUrl)
