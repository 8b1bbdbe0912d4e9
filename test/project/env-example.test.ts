import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import t from 'tap'
import { loadConfig } from '../../src/app/config.ts'
import { Env } from '../../src/app/environment-variables.ts'
import { VAULT_KEYS } from '../support/harness.ts'

/** The schema as the JSON Schema that it is. */
interface Schema {
  properties: Record<string, { default?: unknown }>
  required: string[]
}

const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
const { properties, required } = JSON.parse(JSON.stringify(Env)) as Schema

/** Every line that sets a variable, or would if it were not commented out. */
const lines = [...text.matchAll(/^(#?) *([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, hash, name = '', value = '']) => ({
  name,
  value,
  isSet: hash === ''
}))

t.test('.env.example names every variable of the schema once, and no other', async (t) => {
  t.strictSame(lines.map(({ name }) => name).toSorted(), Object.keys(properties).toSorted())
})

t.test('.env.example sets what is required and shows every default as the schema has it', async (t) => {
  for (const { name, value, isSet } of lines) {
    const fallback = properties[name]?.default
    const mustBeSet = required.includes(name) && fallback === undefined

    t.equal(isSet, mustBeSet, `${name} ${mustBeSet ? 'is set' : 'is commented out'}`)
    if (!mustBeSet) t.equal(value, String(fallback ?? ''), `${name} shows its default`)
  }
})

t.test('a copy of .env.example needs nothing but keys, with or without its comments', async (t) => {
  const copy = text.replace(/^VAULT_KEYS=.*$/m, `VAULT_KEYS=${VAULT_KEYS}`)
  const uncommented = copy.replace(/^# *(?=[A-Z][A-Z0-9_]*=)/gm, '')

  t.throws(() => loadConfig(parseEnv(text)), { message: /^Invalid configuration: VAULT_KEYS [^;]*$/ })
  t.strictSame({ ...parseEnv(copy) }, { VAULT_KEYS })
  t.strictSame(loadConfig(parseEnv(uncommented)), loadConfig({ VAULT_KEYS }))
})
