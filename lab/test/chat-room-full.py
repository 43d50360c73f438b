"""A full room: sixteen people, each connected with each, and a seventeenth who is refused."""

import signal

from nodes import check, done
from chats import Chat

MOST = 16
NODES = ["alice", "alice2", "bob"]

people = [Chat(NODES[0], "p00", "--timeout", "60")]
people[0].wait("registered")
people[0].type("/room tea")
for n in range(1, MOST + 1):
    chat = Chat(NODES[n % len(NODES)], f"p{n:02}", "--peer", "p00", "--timeout", "60")
    people.append(chat)
    invited = chat.wait("room_invited", 60, room="tea")
    if n < MOST:
        chat.type("/room tea")
        chat.wait("room_joined", 60, peer="p00")
*people, last = people
for chat in people:
    met = {told["peer"] for told in chat.events if told["event"] == "room_joined"}
    while len(met) < MOST - 1 and (told := chat.wait("room_joined", 60)):
        met.add(told["peer"])
    check(f"{chat.name} is in the room with all others", met == {other.name for other in people} - {chat.name}, sorted(met))
people[5].type("hello all")
for chat in people[:5] + people[6:]:
    check(f"{chat.name} hears", chat.wait("room_message", text="hello all", **{"from": "p05"}), chat.events[-3:])
told = people[5].wait("room_delivered", text="hello all", delivered=MOST - 1)
check("and who said it is told that all have it", told and told["of"] == MOST - 1, people[5].events[-3:])
last.type("/room tea")
problem = last.wait("problem", 60)
check("the seventeenth is refused, and told why", problem and "the room tea is full: 16 people are in it" in problem["text"], problem)
check("and is in no room", last.wait("room_ended"), last.events[-3:])
people[0].type("hello again")
told = people[0].wait("room_delivered", text="hello again", delivered=MOST - 1)
check("the others talk on", told and told["of"] == MOST - 1, people[0].events[-3:])
for chat in [*people, last]:
    chat.process.send_signal(signal.SIGINT)
for chat in [*people, last]:
    chat.code()
done()
