"""minidl on ranks, with one sum per layer, overlapped with the backward pass of earlier layers."""

from minidl_peer import MinidlPeer

from minidl.data_parallel import Ranks, world


class Overlapping(Ranks):
    """Ranks that start to sum a layer's gradient as soon as it is ready."""

    def __init__(self, ranks):
        self.ranks, self.rank, self.size = ranks, ranks.rank, ranks.size
        self.under_way = []
        self.done = 0  # numbers of the message that are added up that way

    def watch(self, network):
        start = 0
        for layer in network.walk():
            end = start + layer.size
            if layer.size:
                layer.backward = self.followed(layer.backward, network.dtheta[start:end])
            start = end
        self.done = start

    def followed(self, backward, gradient):
        def run(*arguments):
            dx = backward(*arguments)
            communicator = self.ranks._only_here()
            self.under_way.append(communicator.Iallreduce(self.ranks._in_place, gradient))
            return dx

        return run

    def all_reduce(self, array):
        if not self.under_way:
            self.ranks.all_reduce(array)
            return
        for request in self.under_way:
            request.Wait()
        self.under_way.clear()
        self.ranks.all_reduce(array[self.done :])

    def gather(self, value):
        return self.ranks.gather(value)

    def broadcast(self, value):
        return self.ranks.broadcast(value)


class OverlapPeer(MinidlPeer):
    def __init__(self, problem):
        ranks = Overlapping(world())
        super().__init__(problem, ranks=ranks)
        ranks.watch(self.network)


make = OverlapPeer
