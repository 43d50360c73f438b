"""A room of three: who is in it, lines to all over a path of each pair, one that is killed and comes back."""

import signal

from nodes import check, done
from chats import Chat
from schemas import wrong


def members(chat):
    """Who is in the room, and how each is reached, as /room tells."""
    chat.type("/room")
    told = chat.wait("room")
    return {member["peer"]: member["how"] for member in told["members"]} if told else told


def says(chat, text, *others):
    """Whether a line is heard by these, and its sender is told of each, and that it was all."""
    chat.type(text)
    for other in others:
        heard = other.wait("room_message", room="tea", text=text, **{"from": chat.name})
        check(f"{other.name} hears {chat.name} in the room: {text}", heard, other.events[-4:])
    told = chat.wait("room_delivered", text=text, delivered=len(others))
    complete = told and told["of"] == len(others) and told["lost"] == 0
    check(f"{chat.name} is told that {len(others)} have it", complete, chat.events[-4:])


alice, bob = Chat("alice", "alice"), Chat("bob", "bob")
check("alice and bob are there", alice.wait("registered") and bob.wait("registered"), f"{alice.events} {bob.events}")
alice.type("/room", "/room a/b", "/leave")
check("nobody is in a room yet", [alice.wait("problem") for _ in range(3)][-1], alice.events)
alice.type("/room tea bob")
check("alice enters a room", alice.wait("room_entered", room="tea"), alice.events)
invited = bob.wait("room_invited", room="tea", peer="alice")
check("bob is told of it", invited and invited["members"] == 1, bob.events)
alice.type("early")
bob.type("/room tea")
check("alice sees that bob is there", alice.wait("room_joined", peer="bob", members=2), alice.events)
check("and bob that alice is", bob.wait("room_joined", peer="alice", members=2), bob.events)
check("the line that waited is heard", bob.wait("room_message", text="early"), bob.events)

carol = Chat("carol", "carol", "--peer", "bob")
check("carol is told of the room by bob, whom she calls", carol.wait("room_invited", room="tea", peer="bob"), carol.events)
carol.type("/room tea")
for chat, other in ((carol, "bob"), (carol, "alice"), (alice, "carol"), (bob, "carol")):
    check(f"{chat.name} sees {other} in the room", chat.wait("room_joined", peer=other), chat.events[-4:])
paths = [members(chat) for chat in (alice, bob, carol)]
pairs = [set(paths[0]) == {"bob", "carol"}, set(paths[1]) == {"alice", "carol"}, set(paths[2]) == {"alice", "bob"}]
check("each reaches each other one over a path of its own", all(pairs) and "none" not in str(paths), paths)
says(alice, "hello all", bob, carol)
says(bob, "hello alice", alice, carol)
says(carol, "größe 👋🏽", alice, bob)

alice.type("/to bob", "you alone", "/room tea")
check("a message to one is to one", bob.wait("message", text="you alone"), bob.events[-3:])
says(alice, "all again", bob, carol)
check("the others hear nothing of it", not carol.said("message"), carol.events)

# Carol's chat dies, and is started again.
carol.process.send_signal(signal.SIGKILL)
carol.code()
alice.type("is carol there?")
check("bob has it", bob.wait("room_message", text="is carol there?"), bob.events[-3:])
told = alice.wait("room_delivered", text="is carol there?")
check("alice is told that one of two has it", told and (told["to"], told["delivered"], told["of"]) == ("bob", 1, 2), told)
carol = Chat("carol", "carol", "--peer", "bob")
check("bob sees that carol was restarted, and is not in the room", bob.wait("room_left", peer="carol", why="restarted"), bob.events[-4:])
check("carol is told of the room again", carol.wait("room_invited", room="tea"), carol.events)
carol.type("/room tea")
for chat, other in ((carol, "bob"), (carol, "alice"), (bob, "carol"), (alice, "carol")):
    check(f"{chat.name} sees {other} in the room again", chat.wait("room_joined", peer=other), chat.events[-4:])
# Said before she was in the room, it came to her as a message of alice's.
missed = [told["text"] for told in carol.events if told["event"] == "message"]
check("what was said meanwhile is not lost", missed == ["is carol there?"], carol.events)
told = [told for told in alice.events if told["event"] == "room_delivered" and told["text"] == "is carol there?"]
both = told[-1]["delivered"] == 2 or alice.wait("room_delivered", text="is carol there?", delivered=2)
check("and alice is told", both, alice.events[-4:])
says(carol, "I am back", alice, bob)
says(alice, "welcome", bob, carol)

# Bob leaves the room, and stays in his conversations.
bob.type("/leave")
check("bob has left", bob.wait("room_ended", room="tea"), bob.events[-3:])
for chat in (alice, carol):
    check(f"{chat.name} is told", chat.wait("room_left", peer="bob", why="left"), chat.events[-3:])
says(alice, "two of us", carol)
alice.type("/to bob", "still there?")
check("a message to bob arrives", bob.wait("message", text="still there?"), bob.events[-3:])
check("and he heard no more of the room", bob.events[-1]["text"] == "still there?" and not any(told.get("text") == "two of us" for told in bob.events), bob.events[-4:])

# A member that is killed for good is told to be gone, and a line that it did not get.
carol.process.send_signal(signal.SIGKILL)
carol.code()
alice.type("/room tea", "carol?")
lost = alice.wait("room_undelivered", 90, text="carol?", to="carol")
check("a line that a member did not get is named", lost and (lost["delivered"], lost["lost"], lost["of"]) == (0, 1, 1), alice.events[-4:])
check("and that it is gone", alice.wait("room_left", peer="carol", why="lost"), alice.events[-4:])
back = Chat("carol", "carol")
check("when it is back, it is looked for and told of the room", back.wait("room_invited", 60, peer="alice", room="tea"), back.events)
unlike = [why for chat in (alice, bob, carol) for event in chat.events if (why := wrong("chat", event))]
check("all that was told is as chat.json describes it", not unlike, unlike)
for chat, code in ((alice, 1), (bob, 0)):
    chat.process.send_signal(signal.SIGINT)
    check(f"{chat.name} ends with {code}", chat.code() == code, chat.events[-3:])
done()
