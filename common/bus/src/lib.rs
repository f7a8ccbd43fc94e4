//! Wake-ups: messages without content, in process or through RabbitMQ.
