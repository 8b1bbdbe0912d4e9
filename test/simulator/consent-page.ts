import type { ServerResponse } from 'node:http'
import type { Controls } from './controls.ts'
import type { ReceivedRequest } from './journal.ts'
import { SEED } from './seed.ts'
import { appIdOf, type Settings } from './settings.ts'

const SHOW_PATHS = new Set(['/v2/oauth/chooselocation', '/oauth/chooselocation'])
const CHOOSE_PATH = '/v2/oauth/choose'

export const isConsentPath = (path: string): boolean => SHOW_PATHS.has(path) || path === CHOOSE_PATH

/** HighLevel's consent page, on which a person installs the app in a location. Tests can POST its form directly. */
export function handleConsent(
  settings: Settings,
  controls: Controls,
  request: ReceivedRequest,
  response: ServerResponse
): void {
  const form = new URLSearchParams(request.method === 'POST' ? request.body : request.query)
  const chosen = request.path === CHOOSE_PATH
  const error = chosen ? redirectError(settings, form) : linkError(settings, form)
  if (error !== undefined) sendPage(response, 400, error)
  else if (chosen) response.writeHead(302, { location: redirectTarget(controls, form) }).end()
  else sendPage(response, 200, choicePage(form))
}

/** The error page for a bad install link. HighLevel's is blank if there is a version id and no client id. */
function linkError(settings: Settings, form: URLSearchParams): string | undefined {
  if (!form.has('client_id') && form.has('version_id')) return ''
  if (!form.has('version_id')) return page('<p>error.noversionid</p>')
  if (form.get('version_id') !== appIdOf(settings.clientId)) return page('<p>No integration found</p>')
  if (form.get('response_type') !== 'code') return page('<p>error.invalidresponsetype</p>')
  return redirectError(settings, form)
}

function redirectError({ clientId }: Settings, form: URLSearchParams): string | undefined {
  if (form.get('client_id') !== clientId) return page('<p>No integration found</p>')
  const redirect = URL.parse(form.get('redirect_uri') ?? '')
  if (redirect?.protocol === 'http:' || redirect?.protocol === 'https:') return undefined
  return page('<p>error.invalidredirecturi</p>')
}

/** The redirect URI with the result. The state is passed back, except after an agency's bulk install. */
function redirectTarget(controls: Controls, form: URLSearchParams): string {
  const target = new URL(form.get('redirect_uri') ?? '')
  const state = form.get('state')
  if (form.has('cancel')) target.searchParams.set('error', 'access_denied')
  else if (form.has('company')) target.searchParams.set('code', controls.connectCompany({ bulk: true }).code)
  else target.searchParams.set('code', controls.connect(form.get('locationId') ?? undefined).code)
  if (state !== null && !form.has('company')) target.searchParams.set('state', state)
  return target.href
}

function choicePage(form: URLSearchParams): string {
  const hidden = ['client_id', 'redirect_uri', 'state']
    .filter((name) => form.has(name))
    .map((name) => `<input type="hidden" name="${name}" value="${escapeHtml(form.get(name) ?? '')}">`)
  const buttons = SEED.locations.map(({ id, name, address }) => {
    return `<p><button name="locationId" value="${id}">${escapeHtml(name)}</button> ${escapeHtml(address)}</p>`
  })
  return page(`<p>Which location may the app use? This is a simulator: nothing is sent to HighLevel.</p>
<form method="post" action="${CHOOSE_PATH}">
${[...hidden, ...buttons].join('\n')}
<p><button name="company" value="1">All locations (agency)</button></p>
<p><button name="cancel" value="1">Cancel</button></p>
</form>`)
}

const page = (content: string) => `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>HighLevel simulator</title></head>
<body><h1>HighLevel simulator</h1>
${content}
</body></html>
`

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char)

function sendPage(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(html)
}
