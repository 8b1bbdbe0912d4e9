import axios from 'axios'
import express from 'express'

const app = express()
app.use(express.json())

app.get('/readyz', (_req, res) => res.send('ready'))
app.patch('/records/:schemaKey/:id', async (req, res) => {
  const { schemaKey, id } = req.params
  try {
    const { data } = await axios.put(`${process.env.UPSTREAM_URL}/objects/${schemaKey}/records/${id}`, req.body, {
      params: { locationId: req.query.locationId },
      headers: { Authorization: `Bearer ${process.env.UPSTREAM_TOKEN}`, Version: '2021-07-28' }
    })
    res.json(data)
  } catch (error) {
    res.status(error.response?.status ?? 502).json({ message: error.message })
  }
})
app.listen(Number(process.env.PORT), '127.0.0.1')
