"""What runs on the side that others come to, from the outside in:

- `endpoint`, `router`, `visit`, `decoy`: HTTP; carriers for clients, a web site for everybody else
- `reception`: the door, which takes opening messages
- `sessions`, `serving`: what was let in, and what is opened for it
- `members`, `user_store`, `enrolment`, `invites`, `users`: who may come in
- `keys`, `certificate`: who the server is
"""
