/** The call that is measured: the example of HighLevel's documentation, with the answer of its API. */
export const locationId = 've9EPM428h8vShlRW1KT'
export const privateToken = 'pit-00000000-0000-4000-8000-000000000000'

const objectKey = 'custom_objects.ticket'
export const recordId = '632c34b4c9b7da3358ac9891'

export const callerPath = `/records/${objectKey}/${recordId}?locationId=${locationId}`
/** The path with another record id. Concurrent callers write different records. */
export const pathOfRecord = (path: string, n: number): string =>
  path.replace(recordId, recordId.slice(0, -4) + (n % 65_536).toString(16).padStart(4, '0'))
export const upstreamPath = `/objects/${objectKey}/records/${recordId}?locationId=${locationId}`

const scalars = {
  customer_number: 1424,
  ticket_name: 'Customer not able login',
  phone_number: '+917000000000',
  money: { currency: 'default', value: 100 },
  type_of_ticket: 'doubt',
  recieved_on: '2024-07-11',
  'my_textbox_list.option_a': 'Value 1'
}
const file = { url: 'https://files.example.com/tickets/1424/screenshot.png' }

/** Lists are given as deltas, so that no contestant has to read the record first. */
export const requestBody = JSON.stringify({
  properties: { ...scalars, section_of_app: { add: ['contacts', 'smartlist'] }, my_files: { add: [file] } }
})

export const recordAnswer = JSON.stringify({
  record: {
    id: recordId,
    owner: ['sx6wyHhbFdRXh302Lunr'],
    followers: ['sx6wyHhbFdRXh302Lunr', 'v5cEPM428h8vShlRW1KT'],
    properties: {
      ...scalars,
      'my_textbox_list.option_b': 'Value 2',
      section_of_app: ['contacts', 'smartlist'],
      my_files: [file]
    },
    dateAdded: '2024-07-11T07:15:22.116Z',
    dateUpdated: '2024-07-11T09:02:41.903Z'
  },
  traceId: '0f4b3a0e-5f0c-4e8e-9c55-2f1a6f0d7b11'
})

const options = (...keys: string[]) => keys.map((key) => ({ key, label: key }))
const field = (shortKey: string, dataType: string, more: object = {}) => ({
  id: `field-${shortKey}`,
  locationId,
  name: shortKey,
  objectKey,
  dataType,
  fieldKey: `${objectKey}.${shortKey}`,
  ...more
})

/** The schema of the object, so that the gateway checks properties as in production. */
export const schemaAnswer = JSON.stringify({
  object: {
    id: '661c06b4ffde146bdb469442',
    standard: false,
    key: objectKey,
    labels: { singular: 'Ticket', plural: 'Tickets' },
    locationId,
    primaryDisplayProperty: `${objectKey}.ticket_name`,
    dateAdded: '2024-07-01T00:00:00.000Z',
    dateUpdated: '2024-07-01T00:00:00.000Z'
  },
  cache: true,
  fields: [
    field('customer_number', 'NUMERICAL'),
    field('ticket_name', 'TEXT'),
    field('phone_number', 'PHONE'),
    field('money', 'MONETORY'),
    field('type_of_ticket', 'SINGLE_OPTIONS', { options: options('doubt', 'fault') }),
    field('section_of_app', 'MULTIPLE_OPTIONS', { options: options('contacts', 'smartlist', 'calendar') }),
    field('recieved_on', 'DATE'),
    field('my_files', 'FILE_UPLOAD', { acceptedFormats: 'all', maxFileLimit: 5 }),
    field('my_textbox_list', 'TEXTBOX_LIST', { options: options('option_a', 'option_b') })
  ]
})
