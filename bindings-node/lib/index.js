'use strict';

const { classes } = require('./errors.js');
const { Container, Containers } = require('./container.js');
const { Image, Images } = require('./image.js');
const { Process } = require('./process.js');
const { Runtime, run } = require('./runtime.js');
const { version } = require('../package.json');

module.exports = { Runtime, Image, Images, Container, Containers, Process, run, version, ...classes };
